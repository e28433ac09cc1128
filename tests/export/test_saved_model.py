import concurrent.futures
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_csc.export import export_saved_model
from keras_csc.export import saved_model
from keras_csc.export import verify_saved_model
from keras_csc.export.signatures import signatures
from tests.helpers.exporting import one_signature
from tests.helpers.exporting import run_python
from tests.helpers.exporting import tiny_model

OUTCOME = ["problem", "valid"]
TYPES = {"valid": tf.bool, "problem": tf.string}
SIGNATURES = {
    "serving_default": (["image"], ["reconstruction"]),
    "encode": (["image"], ["features"]),
    "decode": (["features"], ["reconstruction"]),
    "denoise": (["image", "sparsity"], ["denoised"]),
    "codes": (["image"], ["codes_1", "codes_2"]),
    "encode_bytes": (["image_bytes"], ["features", *OUTCOME]),
    "reconstruct_bytes": (
        ["image_bytes"],
        ["problem", "reconstruction_bytes", "valid"],
    ),
}

KILLED = """
import os, pathlib, signal, sys
import keras
from tests.helpers.exporting import tiny_model
from keras_csc.export import export_saved_model, saved_model

class Archive:
    def write_out(self, path, options, verbose):
        (pathlib.Path(path) / "saved_model.pb").write_bytes(b"half")
        os.kill(os.getpid(), signal.SIGKILL)

keras.export.ExportArchive = Archive
saved_model.signatures = lambda model: {}
export_saved_model(tiny_model(), sys.argv[1])
"""


EXPORT = """
import sys
import numpy as np
from tests.helpers.exporting import tiny_model
from keras_csc.export import export_saved_model

model = tiny_model(filters=(4,), network="conv")
images = np.random.default_rng(0).uniform(-1, 1, (40, 16, 16, 1))
model.fit_density(images.astype("float32"), np.arange(40) % 2)
for variable in model.density.variables.values():
    # What is fitted depends on how threads share sums.
    values = np.linspace(0.1, 1, np.prod(variable.shape))
    variable.assign(values.reshape(variable.shape))
export_saved_model(model, sys.argv[1])
"""


def names(folder):
    return {path.name for path in folder.iterdir()}


def specs(path):
    """Dict from signatures to dicts of the specs of inputs and outputs."""
    found = {}
    for name, function in tf.saved_model.load(path).signatures.items():
        inputs = function.structured_input_signature[1]
        found[name] = (inputs, function.structured_outputs)
    return found


def random_images(batch=2, channels=1):
    rng = np.random.default_rng(0)
    images = rng.uniform(-1, 1, (batch, 16, 16, channels))
    return tf.constant(images, "float32")


@pytest.fixture(scope="module")
def model():
    return tiny_model()


def test_signatures_and_their_names(exported):
    found = specs(exported.path)
    assert {
        name: (sorted(inputs), sorted(outputs))
        for name, (inputs, outputs) in found.items()
    } == SIGNATURES
    for inputs, outputs in found.values():
        assert not set(inputs) & set(outputs)
        for name, spec in {**inputs, **outputs}.items():
            assert spec.shape[0] is None
            is_bytes = name.endswith("_bytes")
            expected = tf.string if is_bytes else tf.float32
            assert spec.dtype == TYPES.get(name, expected)


def test_only_the_version_and_the_lock_are_left(exported):
    assert names(exported.folder) == {"1", ".lock"}
    assert {"saved_model.pb", "variables", "card.md"} <= names(exported.path)


def test_mixed_precision_has_float32_signatures(tmp_path):
    model = tiny_model(dtype="mixed_bfloat16", filters=(4,))
    path = export_saved_model(model, tmp_path / "tiny")
    for name, tensors in specs(path).items():
        for spec in (*tensors[0].values(), *tensors[1].values()):
            assert spec.dtype in (tf.float32, tf.string, tf.bool), name
    images = random_images()
    loaded = tf.saved_model.load(path)
    received = loaded.signatures["codes"](image=images)["codes_1"]
    expected = model.encoder.activations(images).codes[0]
    np.testing.assert_allclose(
        received, tf.cast(expected, "float32"), atol=0.02
    )


def test_convolutional_baseline_of_three_channels(tmp_path):
    model = tiny_model(network="conv", image_shape=(16, 16, 3), filters=(4,))
    path = export_saved_model(model, tmp_path / "tiny")
    assert set(specs(path)) == set(SIGNATURES) - {"denoise", "codes"}
    loaded = tf.saved_model.load(path)
    grey = tf.cast((random_images(1)[0] + 1) * 127.5, tf.uint8)
    received = loaded.signatures["encode_bytes"](
        image_bytes=tf.io.encode_png(grey)[None]
    )
    images = tf.image.grayscale_to_rgb(tf.cast(grey, "float32")) / 127.5 - 1
    expected = model.encode(images[None])
    np.testing.assert_allclose(received["features"], expected, atol=1e-5)


def test_files_are_not_read_for_two_channels():
    found = signatures(tiny_model(image_shape=(16, 16, 2)))
    assert not [name for name in found if name.endswith("_bytes")]


def test_model_made_under_a_strategy(tmp_path, mirrored, monkeypatch):
    monkeypatch.setattr(saved_model, "signatures", one_signature)
    with mirrored(2).scope():
        model = tiny_model(filters=(4,))
        with pytest.raises(ValueError, match="outside of `strategy.scope"):
            export_saved_model(model, tmp_path / "tiny")
    path = export_saved_model(model, tmp_path / "tiny")
    images = random_images()
    signatures = tf.saved_model.load(path).signatures
    received = signatures["serving_default"](image=images)["reconstruction"]
    np.testing.assert_allclose(received, model.reconstruct(images), atol=1e-5)


def test_versions_follow_the_highest(tmp_path, model, stubbed):
    folder = tmp_path / "models" / "tiny"
    assert export_saved_model(model, folder) == folder / "1"
    assert export_saved_model(model, folder, version=7) == folder / "7"
    assert export_saved_model(model, str(folder)) == folder / "8"
    assert export_saved_model(model, folder, version=2) == folder / "2"
    assert names(folder) == {"1", "2", "7", "8", ".lock"}


def test_simultaneous_exports_get_versions_of_their_own(
    tmp_path, model, stubbed
):
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        jobs = [
            pool.submit(export_saved_model, model, tmp_path) for _ in "abcd"
        ]
    assert sorted(job.result().name for job in jobs) == ["1", "2", "3", "4"]


def test_an_existing_version_is_refused(tmp_path, model, stubbed):
    path = export_saved_model(model, tmp_path)
    (path / "saved_model.pb").write_bytes(b"precious")
    with pytest.raises(ValueError, match="Version 1 of .* exists already"):
        export_saved_model(model, tmp_path, version=1)
    assert (path / "saved_model.pb").read_bytes() == b"precious"
    assert names(tmp_path) == {"1", ".lock"}


def test_there_is_no_version_after_the_last_one(tmp_path, model):
    for last in (2**63 - 1, 10**19):
        (tmp_path / f"{last}").mkdir()
        with pytest.raises(ValueError, match=f"has a version {last}, and"):
            export_saved_model(model, tmp_path)


@pytest.mark.parametrize("version", [0, -1, "2", 1.5, 2**63])
def test_bad_versions(tmp_path, model, version):
    with pytest.raises(ValueError, match="`version` must be an int"):
        export_saved_model(model, tmp_path / "tiny", version=version)
    assert names(tmp_path) == set()


def test_a_version_is_not_taken_for_the_folder(exported, model):
    with pytest.raises(ValueError, match="Pass its parent"):
        export_saved_model(model, exported.path)


def test_other_models_are_refused(tmp_path):
    with pytest.raises(ValueError, match="must be a ClosedLoopAutoencoder"):
        export_saved_model(keras.Sequential(), tmp_path)


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_failure_leaves_no_version(tmp_path, model, archive, error):
    def fail(path):
        (path / "saved_model.pb").write_bytes(b"half")
        assert names(tmp_path) == {".incomplete", ".lock"}
        raise error

    archive(fail)
    with pytest.raises(type(error)):
        export_saved_model(model, tmp_path)
    assert names(tmp_path) == {".lock"}


def test_a_killed_export_leaves_no_version(
    tmp_path, model, stubbed, run_script
):
    (tmp_path / "killed.py").write_text(KILLED)
    folder = tmp_path / "tiny"
    finished = run_script(tmp_path / "killed.py", folder)
    assert finished.returncode == -9, finished.stderr
    assert names(folder) == {".incomplete", ".lock"}
    path = export_saved_model(model, folder)
    assert names(folder) == {"1", ".lock"}
    assert (path / "saved_model.pb").read_bytes() == b"a graph"


def contents(folder):
    return {
        path.relative_to(folder): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".lock"
    }


def test_exports_are_the_same_bytes(tmp_path, run_script):
    """Of processes: where their objects are orders the sets of each."""
    script = tmp_path / "export.py"
    script.write_text(EXPORT)
    folders = [tmp_path / name / "tiny" for name in ("fork", "new")]
    for finished in (
        run_script(script, folders[0]),
        run_python([script, folders[1]], environment={"PYTHONHASHSEED": "1"}),
    ):
        assert finished.returncode == 0, finished.stderr[-3000:]
    one, other = map(contents, folders)
    assert len(one) >= 5 and set(one) == set(other)
    assert [name for name in one if one[name] != other[name]] == []


def test_gradients_can_be_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(saved_model, "signatures", one_signature)
    model = tiny_model(filters=(4,))
    paths = [
        export_saved_model(model, tmp_path, strip_gradients=strip)
        for strip in (False, True)
    ]
    whole, stripped = (
        (path / "saved_model.pb").stat().st_size for path in paths
    )
    assert stripped < 0.95 * whole
    images = random_images()
    signature = tf.saved_model.load(paths[1]).signatures["serving_default"]
    np.testing.assert_allclose(
        signature(image=images)["reconstruction"],
        model.reconstruct(images),
        atol=1e-5,
    )


def test_a_different_saved_model_is_noticed(exported):
    verify_saved_model(exported.path, exported.model)
    with pytest.raises(ValueError, match="largest difference"):
        verify_saved_model(exported.path, tiny_model(seed=1))


def test_outputs_that_are_not_finite_are_noticed(exported):
    model = tiny_model()
    kernel = model.decoder.decoding_layers[0].kernel
    kernel.assign(kernel * np.nan)
    with pytest.raises(ValueError, match="must be finite"):
        verify_saved_model(exported.path, model)


def test_a_version_that_is_wrong_is_not_left(
    tmp_path, model, stubbed, monkeypatch
):
    def refuse(path, model, tolerance):
        raise ValueError("wrong")

    monkeypatch.setattr(saved_model, "verify_saved_model", refuse)
    with pytest.raises(ValueError, match="wrong"):
        export_saved_model(model, tmp_path)
    assert names(tmp_path) == {".lock"}


def test_warmup_is_skipped_without_its_package(
    tmp_path, model, stubbed, monkeypatch, capsys
):
    monkeypatch.setitem(sys.modules, "tensorflow_serving.apis", None)
    path = export_saved_model(model, tmp_path)
    assert "tensorflow-serving-api" in capsys.readouterr().out
    assert names(path) == {"saved_model.pb", "card.md"}
    export_saved_model(model, tmp_path, batch_sizes=())
    assert not capsys.readouterr().out


def replayed(path, name):
    """Answers to the warm-up requests of a SavedModel.

    Yields (signature, size of the batch, dict of outputs).
    """
    prediction_log = pytest.importorskip(
        "tensorflow_serving.apis.prediction_log_pb2"
    )
    signatures = tf.saved_model.load(path).signatures
    records = tf.data.TFRecordDataset(
        str(path / "assets.extra" / "tf_serving_warmup_requests")
    )
    for record in records.as_numpy_iterator():
        assert len(record) < 2000
        log = prediction_log.PredictionLog.FromString(record)
        request = log.predict_log.request
        assert request.model_spec.name == name
        # As TensorFlow Serving reads them, in C++.
        inputs = {
            name: tf.io.parse_tensor(value.SerializeToString(), value.dtype)
            for name, value in request.inputs.items()
        }
        signature = request.model_spec.signature_name
        (size,) = {value.shape[0] for value in inputs.values()}
        yield signature, size, signatures[signature](**inputs)


@pytest.mark.parametrize("kind", ["density", "maps"])
def test_warmup_is_of_all_signatures_at_all_sizes(kind, request):
    path = request.getfixturevalue(f"exported_{kind}").path
    found = []
    for signature, size, outputs in replayed(path, kind):
        for value in outputs.values():
            assert value.shape[0] == size
            if value.dtype != tf.string:
                assert np.all(np.isfinite(value))
        found.append((signature, size))
    assert len(found) == len(set(found))
    names = set(tf.saved_model.load(path).signatures)
    assert set(found) == {(name, n) for name in names for n in (1, 8, 32)}


def test_sizes_of_warmup_batches(tmp_path, model, stubbed):
    with pytest.raises(ValueError, match="`batch_sizes` must be one or more"):
        export_saved_model(model, tmp_path / "tiny", batch_sizes=(0, 8))
    with pytest.raises(ValueError, match="at most 142: there are 7"):
        many = range(1, 1001)
        export_saved_model(model, tmp_path / "a", batch_sizes=tuple(many))
    assert names(tmp_path) == set()
