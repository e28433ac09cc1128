import contextlib
import pathlib
import types

import numpy as np
import pytest
from PIL import Image

from serving import client
from tests.helpers import model_servers

ROOT = pathlib.Path(__file__).parents[2]
NAME = "csc_ctrl_digits"


@pytest.fixture(scope="session")
def servers():
    """Servers of both protocols of one model, and the model.

    The model is one of `saved_models/`, that has all signatures.
    """
    with contextlib.ExitStack() as stack:
        servable = model_servers.Servable(ROOT / "saved_models" / NAME)
        ports = {
            "rest": stack.enter_context(model_servers.rest_server(servable)),
            "grpc": stack.enter_context(model_servers.grpc_server(servable)),
        }
        yield types.SimpleNamespace(servable=servable, ports=ports)


@pytest.fixture(params=["rest", "grpc"])
def server(request, servers):
    """A server of each protocol; a test may give it faults."""
    servers.servable.faults.clear()
    return types.SimpleNamespace(
        protocol=request.param,
        port=servers.ports[request.param],
        servable=servers.servable,
    )


@pytest.fixture
def digits():
    """Pixels of pictures, (3, 16, 16, 1)."""
    ramp = np.linspace(0, 255, 256).reshape(16, 16, 1)
    pictures = [ramp, 255 - ramp, np.roll(ramp, 8, axis=1)]
    return np.rint(pictures).astype("uint8")


@pytest.fixture
def files(tmp_path, digits):
    paths = [tmp_path / f"digit{number}.png" for number in range(len(digits))]
    for path, pixels in zip(paths, digits, strict=True):
        Image.fromarray(pixels[..., 0]).save(path)
    return paths


@pytest.fixture
def run(server, capsys):
    """Returns a function of arguments of the client, for a server.

    It returns the exit code, and what was printed.
    """

    def run(*arguments):
        try:
            code = client.main(
                [
                    *map(str, arguments),
                    f"--protocol={server.protocol}",
                    f"--port={server.port}",
                ]
            )
        except SystemExit as error:
            code = error.code
        printed = capsys.readouterr()
        return code, printed.out + printed.err

    return run


@pytest.fixture
def computed(servers):
    """Returns a function of a signature and inputs: what the model makes."""
    return lambda name, **inputs: servers.servable.predict(name, inputs)
