"""Writes a vector of every picture of a folder: `--help` says how."""

from keras_csc_cli import console

if __name__ == "__main__":
    console.run("embed")
