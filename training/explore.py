"""Opens a page to look inside a trained model: `--help` says how."""

from keras_csc_cli import console

if __name__ == "__main__":
    console.run("explore")
