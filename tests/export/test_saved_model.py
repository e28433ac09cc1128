"""What an export writes, and what it leaves as it is."""

import concurrent.futures
import sys

import numpy as np
import pytest
import tensorflow as tf

from keras_csc.export import export_saved_model
from keras_csc.export import saved_model
from keras_csc.export import writing
from keras_csc.export.saved_model import signatures
from tests.helpers.exporting import one_signature
from tests.helpers.exporting import tiny_model


def names(folder):
    return {path.name for path in folder.iterdir()}


def random_images(batch=2):
    images = np.random.default_rng(0).uniform(-1, 1, (batch, 16, 16, 1))
    return tf.constant(images, "float32")


def test_versions_follow_the_highest(tmp_path, model, stubbed):
    folder = tmp_path / "models" / "tiny"
    assert export_saved_model(model, str(folder)) == folder / "1"
    (folder / "7").mkdir()
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        jobs = [pool.submit(export_saved_model, model, folder) for _ in "abc"]
    assert {job.result().name for job in jobs} == {"8", "9", "10"}
    assert names(folder) == {"1", "7", "8", "9", "10", ".lock"}


def test_a_version_is_no_folder_of_versions(tmp_path, model, stubbed):
    (tmp_path / "saved_model.pb").mkdir()
    with pytest.raises(ValueError, match="Pass its parent"):
        export_saved_model(model, tmp_path)
    assert names(tmp_path) == {"saved_model.pb"}


def test_failure_leaves_no_version_nor_does_what_a_kill_left(
    tmp_path, model, archive
):
    def fail(path):
        (path / "saved_model.pb").write_bytes(b"half")
        assert names(tmp_path) == {path.name, ".lock", ".1-original"}
        raise KeyboardInterrupt

    (tmp_path / ".1-original").mkdir()
    (tmp_path / ".1-killed_0.partial").mkdir()
    (tmp_path / ".1-killed_0.partial" / "variables").touch()
    archive(fail)
    with pytest.raises(KeyboardInterrupt):
        export_saved_model(model, tmp_path)
    assert names(tmp_path) == {".lock", ".1-original"}


def test_a_model_made_under_a_strategy(tmp_path, mirrored, monkeypatch):
    monkeypatch.setattr(saved_model, "signatures", one_signature)
    with mirrored(2).scope():
        model = tiny_model(filters=(4,))
        with pytest.raises(ValueError, match="outside of `strategy.scope"):
            export_saved_model(model, tmp_path)
    path = export_saved_model(model, tmp_path)
    call = tf.saved_model.load(path).signatures["serving_default"]
    received = call(image=random_images())["reconstruction"]
    expected = model.reconstruct(random_images())
    np.testing.assert_allclose(received, expected, atol=1e-5)


def test_a_different_saved_model_is_noticed(exported):
    model = tiny_model()
    found = signatures(model)
    kernel = model.decoder.decoding_layers[0].kernel
    kernel.assign(1.1 * kernel)
    with pytest.raises(ValueError, match="largest difference"):
        writing.check_answers(found, exported.signatures, "it", 1e-4)


def test_warmup_is_skipped_without_its_package(
    tmp_path, model, stubbed, monkeypatch, capsys
):
    monkeypatch.setitem(sys.modules, "tensorflow_serving.apis", None)
    path = export_saved_model(model, tmp_path)
    assert "tensorflow-serving-api" in capsys.readouterr().out
    assert names(path) == {"saved_model.pb", "card.md"}
    export_saved_model(model, tmp_path, batch_sizes=())
    assert not capsys.readouterr().out


@pytest.mark.parametrize("kind", ["exported", "exported_maps"])
def test_warmup_is_of_all_signatures_at_all_sizes(kind, request):
    prediction_log = pytest.importorskip(
        "tensorflow_serving.apis.prediction_log_pb2"
    )
    served = request.getfixturevalue(kind)
    records = tf.data.TFRecordDataset(
        str(served.path / "assets.extra" / "tf_serving_warmup_requests")
    )
    found = []
    for record in records.as_numpy_iterator():
        assert len(record) < 2000
        log = prediction_log.PredictionLog.FromString(record)
        given = log.predict_log.request
        assert given.model_spec.name == served.path.parent.name
        # As TensorFlow Serving reads them, in C++.
        inputs = {
            name: tf.io.parse_tensor(value.SerializeToString(), value.dtype)
            for name, value in given.inputs.items()
        }
        signature = given.model_spec.signature_name
        (size,) = {value.shape[0] for value in inputs.values()}
        found.append((signature, size))
        if size != 8:
            continue
        for value in served.signatures[signature](**inputs).values():
            assert value.shape[0] == size
            assert value.dtype == tf.string or np.all(np.isfinite(value))
    sizes = {(name, n) for name in served.signatures for n in (1, 8, 32)}
    assert len(found) == len(sizes) and set(found) == sizes
