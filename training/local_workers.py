"""Trains with several processes on this machine: `--help` says how."""

from keras_csc_cli import console

if __name__ == "__main__":
    console.run("local_workers")
