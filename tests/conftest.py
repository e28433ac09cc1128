"""Devices, seeds, strategies and a port for all tests."""

import gc
import os
import pathlib
import socket
from unittest import mock

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# Threads of NumPy and scikit-learn wait for each other by spinning, which takes
# the cores from the other process of tests: a decomposition, or a map of
# features, is many times slower.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import hypothesis
import pytest

# `make test-backends` runs them, without this file.
collect_ignore = ["backends"]
TESTS = pathlib.Path(__file__).parent
LOGICAL_CPUS = 2
hypothesis.settings.register_profile(
    "repeatable", derandomize=True, deadline=None, database=None
)
hypothesis.settings.load_profile("repeatable")


def pytest_sessionstart(session):
    """Makes devices, in the processes that run tests.

    A process of xdist that only shares out the tests needs no TensorFlow, whose
    import takes seconds.
    """
    if session.config.getoption("numprocesses", None):
        return
    from keras_csc_cli import devices

    import tensorflow as tf

    # Runs of tests are in float32, whatever processor this is.
    devices.CPUINFO = pathlib.Path(os.devnull)
    if os.environ.get("PYTEST_XDIST_WORKER"):  # A core for each.
        tf.config.threading.set_intra_op_parallelism_threads(1)
    devices.divide(LOGICAL_CPUS)


# Folders whose files take longest: nobody is to wait for the last one.
FIRST = (
    *("cli", "export", "models", "data", "layers"),
    *("test_documentation.py", "test_examples.py", "ops", "studies"),
)


def pytest_addoption(parser):
    parser.addoption(
        "--thorough",
        action="store_true",
        help="run the tests that are marked `thorough`, too",
    )


def pytest_collection_modifyitems(config, items):
    def place(item):
        folder = item.path.relative_to(TESTS).parts[0]
        return FIRST.index(folder) if folder in FIRST else len(FIRST)

    items.sort(key=place)
    if not config.getoption("thorough"):
        skip = pytest.mark.skip(reason="`make test-thorough` runs it")
        for item in items:
            if item.get_closest_marker("thorough"):
                item.add_marker(skip)


def pytest_collection_finish():
    """The collector leaves alone what was imported, and runs less often.

    Tracing makes many objects, of which few are garbage.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


@pytest.fixture(scope="module", autouse=True)
def seeded_module():
    """Also of what a module's fixtures make before its first test."""
    seed()


@pytest.fixture(scope="module", autouse=True)
def optimized_graphs(request):
    """Graphs are optimised where what users run as a graph is tested.

    Elsewhere it takes longer than it saves, of the few steps of a test.
    """
    import tensorflow as tf

    path = request.path.relative_to(TESTS)
    needed = path.parts[0] in ("export", "restoration", "serving")
    needed = needed or path.name == "test_restore.py"
    tf.config.optimizer.set_experimental_options(
        {"disable_meta_optimizer": not needed}
    )


@pytest.fixture(autouse=True)
def seeded():
    seed()


def seed():
    """Seeds every generator that is drawn from.

    Nothing draws from TensorFlow's own. To seed it throws its kernels and
    optimised graphs away, which takes longer than most tests.
    """
    import keras
    import tensorflow as tf

    with mock.patch.object(tf.random, "set_seed"):
        keras.utils.set_random_seed(0)


@pytest.fixture(scope="module")
def eager():
    """Functions are not traced: that takes longer than their few calls."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture(scope="session")
def mirrored():
    """Returns the process's one strategy over so many logical CPUs.

    They reduce without collectives: the group keys of collectives are shared
    by all strategies of a process, so that a second strategy, over another
    number of devices, aborts ("joining a group with size 4, but that group
    has size 2").
    """
    import tensorflow as tf

    strategies = {}

    def strategy(replicas):
        if replicas not in strategies:
            strategies[replicas] = tf.distribute.MirroredStrategy(
                [f"CPU:{number}" for number in range(replicas)],
                cross_device_ops=tf.distribute.ReductionToOneDevice(),
            )
        return strategies[replicas]

    return strategy


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory):
    """A folder that all processes of the tests share."""
    base = tmp_path_factory.getbasetemp()
    if os.environ.get("PYTEST_XDIST_WORKER"):
        base = base.parent
    folder = base / "shared"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture
def unused_port():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


@pytest.fixture(scope="module")
def tab():
    """A window of Chromium that all tests of a page share."""
    from tests.helpers import pages

    with pages.browser_page(1280, 900) as page:
        page.set_default_timeout(20_000)
        yield page


@pytest.fixture
def quiet(tab):
    """The window, which must say nothing wrong and ask nobody else."""
    from tests.helpers import pages

    yield from pages.quiet(tab)
