"""What every layer and model of the suite must do, as functions to call."""

import inspect
import json

import keras
import numpy as np
import pytest

# What a configuration holds serialised.
OBJECTS = keras.initializers.Initializer, keras.constraints.Constraint
POLICIES = ("float32", "mixed_bfloat16", "float64")


def constructor_parameters(cls):
    """Names and defaults of the arguments, also of base classes."""
    found = {}
    for base in cls.__mro__:
        if not base.__module__.startswith("keras_csc"):
            break
        parameters = inspect.signature(base.__init__).parameters.values()
        named = [
            p
            for p in parameters
            if p.kind is p.POSITIONAL_OR_KEYWORD and p.name != "self"
        ]
        found = {**{p.name: p.default for p in named}, **found}
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    return found


def check_config(cls, excluded=(), **arguments):
    """The configuration holds every argument, none of them at its default.

    Args:
        excluded: names of arguments that do not go with the others, at their
            defaults.
        **arguments: a value for every constructor argument that differs from
            the default, so that a lost one is seen.
    """
    parameters = constructor_parameters(cls)
    assert set(arguments) == set(parameters) - set(excluded)
    instance = cls(**arguments)
    config = instance.get_config()
    plain = json.loads(json.dumps(config))
    for name, value in arguments.items():
        assert value != parameters[name], f"{name} is at its default"
        assert name in config
        if not isinstance(value, OBJECTS):
            assert plain[name] == json.loads(json.dumps(value)), name
    assert json.loads(json.dumps(cls.from_config(plain).get_config())) == plain
    name = keras.saving.get_registered_name(cls)
    assert name == f"keras_csc>{cls.__name__}"
    assert keras.saving.get_registered_object(name) is cls
    copy = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(instance)
    )
    assert type(copy) is cls
    assert json.loads(json.dumps(copy.get_config())) == plain


def check_rejects(cls, bad, **arguments):
    """A bad argument raises a `ValueError` that names it and shows it."""
    (name, value), *others = bad.items()
    assert not others
    with pytest.raises(ValueError, match=f"`{name}`") as error:
        cls(**{**arguments, name: value})
    assert str(value) in str(error.value)


def check_shapes(make, input_shapes):
    """Static, computed and actual shapes agree, also with unknown sizes."""
    for shape in input_shapes:
        layer = make()
        computed = layer.compute_output_shape((None, *shape[1:]))
        layer.build((None, *shape[1:]))
        result = layer(np.zeros(shape, "float32"))
        assert tuple(result.shape) == (shape[0], *computed[1:])
        symbolic = layer(keras.Input(shape[1:]))
        assert tuple(symbolic.shape) == tuple(computed)
        unknown = (None,) * (len(shape) - 1) + shape[-1:]
        layer = make()
        symbolic = layer(keras.Input(unknown[1:]))
        assert symbolic.shape == layer.compute_output_shape(unknown)
        assert symbolic.shape[-1] == computed[-1]
        result = layer(np.zeros(shape, "float32"))
        assert tuple(result.shape) == (shape[0], *computed[1:])


def check_dtype_policies(make, inputs, output_dtype=None):
    """Outputs and weights have the dtypes of the policy.

    `output_dtype` is that of outputs instead, below float64.
    """
    for name in POLICIES:
        layer = make(dtype=name)
        policy = keras.DTypePolicy(name)
        result = layer(inputs)
        found = keras.backend.standardize_dtype(result.dtype)
        expected = policy.compute_dtype
        if output_dtype and name != "float64":
            expected = output_dtype
        assert found == expected, name
        assert layer.trainable_variables
        for variable in layer.variables:
            assert variable.dtype == policy.variable_dtype, variable.path
        exact = make(dtype="float64")
        exact.build(inputs.shape)
        exact.set_weights([w.astype("float64") for w in layer.get_weights()])
        error = np.asarray(keras.ops.cast(result, "float64")) - np.asarray(
            exact(inputs)
        )
        tolerance = {"float32": 1e-4, "mixed_bfloat16": 0.1, "float64": 0}
        scale = np.linalg.norm(exact(inputs))
        assert np.linalg.norm(error) <= tolerance[name] * scale, name


def perturb(layer):
    """Moves every weight, so that none is at its initial value."""
    rng = np.random.default_rng(11)
    layer.set_weights(
        [
            (w * 1.1 + rng.uniform(0.01, 0.1, w.shape)).astype(w.dtype)
            for w in layer.get_weights()
        ]
    )


def check_same_weights(model, other):
    assert len(model.variables) == len(other.variables)
    for variable, copy in zip(model.variables, other.variables):
        assert variable.path.split("/")[-2:] == copy.path.split("/")[-2:]
        np.testing.assert_array_equal(variable.numpy(), copy.numpy())


def check_save_and_load(layer, inputs, folder):
    """A model of the layer comes back bit by bit from a `.keras` file."""
    given = keras.Input(inputs.shape[1:], dtype=inputs.dtype.name)
    model = keras.Model(given, layer(given))
    perturb(model)
    expected = model(inputs).numpy()
    path = folder / "model.keras"
    model.save(path)
    loaded = keras.models.load_model(path)
    check_same_weights(model, loaded)
    np.testing.assert_array_equal(loaded(inputs).numpy(), expected)
    assert type(loaded.layers[-1]) is type(layer)


def check_inference_is_pure(layer, inputs):
    """Calls without training give the same again and change no weight."""
    layer(inputs)
    before = layer.get_weights()
    first = layer(inputs, training=False).numpy()
    second = layer(inputs).numpy()
    np.testing.assert_array_equal(first, second)
    for weight, after in zip(before, layer.get_weights()):
        np.testing.assert_array_equal(weight, after)
