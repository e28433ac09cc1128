"""The graph of a SavedModel, the same bytes from every process."""

import errno
import uuid

import keras
import tensorflow as tf
from tensorflow.core.protobuf import fingerprint_pb2

from keras_csc.validation import plain


def write_graph(endpoints, folder, weights=()):
    """Writes a SavedModel with Keras's own archive.

    TensorFlow Serving can't load what `tf.saved_model.save` makes of a module
    that holds a Keras model (tensorflow#72963). The archive finds the variables
    in the functions, which list them in another order in every process. So they
    are sorted as `weights` are. To track an autoencoder would trace the decoder
    on its own, without atoms.
    """
    archive = keras.export.ExportArchive()
    places = {id(w.value): place for place, w in enumerate(weights)}
    for name, (function, specs) in endpoints.items():
        added = archive.add_endpoint(name, function, input_signature=specs)
        traced = added.get_concrete_function()
        traced.set_variables(
            sorted(traced.variables, key=lambda v: places.get(id(v), -1))
        )
    try:
        archive.write_out(str(folder), verbose=False)
    except tf.errors.OpError as error:
        raise OSError(errno.EIO, plain(error), str(folder)) from error
    _name_by_content(folder)


def _name_by_content(folder):
    """Replaces the random identifier of a SavedModel by one of its content."""
    path = folder / "fingerprint.pb"
    if not path.exists():
        return
    fingerprint = fingerprint_pb2.FingerprintDef.FromString(path.read_bytes())
    fingerprint.ClearField("uuid")
    content = fingerprint.SerializeToString(deterministic=True).hex()
    fingerprint.uuid = str(uuid.uuid5(uuid.NAMESPACE_OID, content))
    path.write_bytes(fingerprint.SerializeToString(deterministic=True))
