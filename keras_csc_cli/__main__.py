"""`python -m keras_csc_cli COMMAND` is `keras-csc COMMAND`."""

from keras_csc_cli import console

console.main()
