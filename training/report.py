"""Makes a page of what a trained model is and does: `--help` says how."""

from keras_csc_cli import console

if __name__ == "__main__":
    console.run("report")
