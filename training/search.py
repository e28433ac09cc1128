"""Finds the pictures of a folder that are most like one: `--help` says how."""

from keras_csc_cli import console

if __name__ == "__main__":
    console.run("search")
