"""Says what tells folders of pictures apart: `--help` says how."""

from keras_csc_cli import console

if __name__ == "__main__":
    console.run("sort")
