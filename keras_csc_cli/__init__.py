"""The scripts, and what they are made of.

Importing this package imports nothing more. A script answers `--help`, a
mistake and a signal before it imports TensorFlow, which takes seconds.
"""

import os

# Else TensorFlow's start-up messages come before every error of a user's.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
