"""What a SavedModel asks of the TensorFlow that loads it."""

import json
import pathlib

import pytest
from tensorflow.core.protobuf import saved_model_pb2

from keras_csc.export import card

# Operations of TensorFlow 2.18 and their attributes, of those that exports
# use: from `TF_GetAllOpList` of its C library.
OPERATIONS = pathlib.Path(__file__).with_name("tensorflow_2_18.json")


def nodes(path):
    content = (path / "saved_model.pb").read_bytes()
    (graph,) = saved_model_pb2.SavedModel.FromString(content).meta_graphs
    yield from graph.graph_def.node
    for function in graph.graph_def.library.function:
        yield from function.node_def


@pytest.mark.parametrize("kind", ["density", "maps"])
def test_operations_are_those_of_an_older_tensorflow(kind, request):
    known = json.loads(OPERATIONS.read_text())
    assert known["version"].startswith(f"{card.OLDEST}.")
    path = request.getfixturevalue(f"exported_{kind}").path
    found = list(nodes(path))
    assert len(found) > 1000
    for node in found:
        assert node.op in known["operations"], node.name
        attributes = {key for key in node.attr if not key.startswith("_")}
        assert attributes <= set(known["operations"][node.op]), node.name
