"""The scripts, and what they are made of.

Importing this package imports TensorFlow without its start-up messages, which
no log level silences, so that a user's mistake is answered by one clear line.
"""

import os
import sys
import tempfile


def _import_tensorflow():
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as messages:
        os.dup2(messages.fileno(), 2)
        try:
            import tensorflow as tf

            tf.config.list_physical_devices()
        except BaseException:
            messages.seek(0)
            os.write(kept, messages.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


_import_tensorflow()
