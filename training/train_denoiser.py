"""Trains the denoiser that restore.py uses: `--help` says how."""

from keras_csc_cli import console

if __name__ == "__main__":
    console.run("train-denoiser")
