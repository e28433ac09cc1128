"""The Python API: constructors, calls, `compile`, `fit`, callbacks."""

from tests.hostile.case import IN_GRAPH
from tests.hostile.case import Case
from tests.hostile.case import either
from tests.hostile.case import refused
from tests.hostile.case import works

VALUE = ("ValueError",)
TYPED = ("ValueError", "TypeError")


def python(name, snippet, expected, worst=False):
    return Case(
        f"python: {name}", expected, snippet=snippet, seconds=45, worst=worst
    )


# === Shapes ===

# What was expected, and not what was given.
SIZE = r"(\?|None|-1|[a-z_]+), ?16, ?16, ?1\b"
METHODS = {
    "call": "tiny()({})",
    "encode": "tiny().encode({})",
    "reconstruct": "tiny().reconstruct({})",
    "denoise": "tiny().denoise({}, 0.1)",
    "predict": "tiny().predict({}, verbose=0)",
    "evaluate": "tiny().evaluate({}, verbose=0)",
    "fit": "tiny().fit({}, verbose=0)",
}
WRONG = {
    "smaller": "pixels(4, (8, 8, 1))",
    "larger": "pixels(1, (32, 32, 1))",
    "of colour": "pixels(4, (16, 16, 3))",
    "without channels": "pixels(4, (16, 16))",
    "of rank 5": "pixels(4, (1, 16, 16, 1))",
    "not square": "pixels(4, (16, 32, 1))",
    "of an empty batch": "pixels(0)",
    "a number": "np.float32(1)",
}
WORST_SHAPES = (
    ("fit", "smaller"),
    ("encode", "of an empty batch"),
)
SAYS = {"of an empty batch": "(?i)empty|at least one", "a number": ""}
ERRORS = {"a number": (*IN_GRAPH, "IndexError")}  # Keras's own, for `fit`
SHAPES = [
    *(
        python(
            f"{method} of images {kind}",
            call.format(images),
            refused(SAYS.get(kind, SIZE), ERRORS.get(kind, VALUE)),
            (method, kind) in WORST_SHAPES,
        )
        for method, call in METHODS.items()
        for kind, images in WRONG.items()
    ),
    *(
        python(
            f"decode of features of shape {shape}",
            f"tiny().decode(np.ones({shape}, 'float32'))",
            refused(r"(\?|None|-1|[a-z_]+), ?8\b|feature_dim|at least one"),
        )
        for shape in ("()", "(8,)", "(2, 128)", "(4, 4)", "(1, 2, 8)", "(0, 8)")
    ),
    *(
        python(
            f"{method} of maps of images of shape {shape}",
            call.replace("tiny()", "tiny(features='map')").format(
                f"np.zeros({shape}, 'float32')"
            ),
            refused(r"height, width, 1|8×8 pixels|at least one|empty", VALUE),
        )
        for method, call in METHODS.items()
        for shape in ("(2, 7, 20, 1)", "(2, 16, 16, 3)", "(9, 9)")
    ),
    *(
        python(
            f"decode of maps of shape {shape}",
            f"tiny(features='map').decode(np.ones({shape}, 'float32'))",
            refused(r"height, width, 8|at least one"),
        )
        for shape in ("(8,)", "(2, 8)", "(1, 2, 2, 4)", "(0, 2, 2, 8)")
    ),
    python(
        "decode of maps to another size",
        "tiny(features='map').decode(np.ones((1, 4, 4, 8), 'float32'), "
        "image_size=(9, 9))",
        refused("image_size"),
    ),
    python(
        "tiles of a model of vectors",
        "keras_csc.models.Tiles(tiny())",
        refused("map"),
    ),
    *(
        python(
            f"{name} of {shape}",
            f"keras_csc.layers.{name}(np.ones({shape}, 'float32'))",
            refused(r"shape|rank|ndim|4|dim"),
        )
        for name in (
            "ConvSparseCoding2D(4, kernel_size=4, strides=2)",
            "ConvSparseDecoding2D(4, kernel_size=4, strides=2)",
        )
        for shape in ("()", "(4,)", "(16, 16, 1)", "(1, 1, 16, 16, 1)")
    ),
]

# === Values ===

BYTES = "np.random.default_rng(0).integers(0, 256, (4, 16, 16, 1), np.uint8)"
SAME = (
    "bytes = " + BYTES + "\n"
    "model = tiny()\n"
    "found = {call}(bytes)\n"
    "expected = {call}((bytes / 127.5 - 1).astype('float32'))\n"
    "expect(np.abs(np.asarray(found) - np.asarray(expected)) < 1e-4, 'not so')"
)
VALUES = [
    *(
        python(
            f"bytes to {call}",
            SAME.format(call=f"model.{call}"),
            works(),
            call == "encode",
        )
        for call in ("encode", "reconstruct", "predict")
    ),
    python(
        "bytes to fit",
        f"tiny().fit({BYTES}, verbose=0)",
        works(),
    ),
    python(
        "bytes to evaluate",
        f"bytes = {BYTES}\nmodel = tiny()\n"
        "found = model.evaluate(bytes, verbose=0)\n"
        "images = (bytes / 127.5 - 1).astype('float32')\n"
        "expected = model.evaluate(images, verbose=0)\n"
        "expect(np.allclose(found, expected, atol=1e-4), f'{found}')",
        works(),
    ),
    *(
        python(
            f"{kind} to {method}",
            f"tiny().{method}({images}, verbose=0)",
            refused(r"\[-1, ?1\]|finite|range", IN_GRAPH),
            (kind, method) == ("0..255", "fit"),
        )
        for method in ("fit", "evaluate")
        for kind, images in (
            ("0..255", "(pixels() + 1) * 127.5"),
            ("NaN", "np.full((4, 16, 16, 1), np.nan, 'float32')"),
            ("infinity", "np.full((4, 16, 16, 1), np.inf, 'float32')"),
            ("1.5", "pixels() * 1.5"),
        )
    ),
    *(
        python(
            f"pixels of 1 and rounding to {method}",
            f"tiny().{method}(np.full((4, 16, 16, 1), 1.000001, 'float32'), "
            "verbose=0)",
            works(),
        )
        for method in ("fit", "evaluate")
    ),
    *(
        python(
            f"denoise with a sparsity of {value}",
            f"tiny().denoise(pixels(), {value})",
            refused("(?i)sparsity|λ", IN_GRAPH),
        )
        for value in (
            "float('nan')",
            "float('inf')",
            "-0.1",
            "np.float32([0.1, np.nan, 0.1, 0.1])",
            "np.float32([0.1, 0.1])",
        )
    ),
    *(
        python(
            f"decode of {value}",
            f"tiny().decode(np.full((4, 8), {value}, 'float32'))",
            refused("(?i)finite|nan", IN_GRAPH),
        )
        for value in ("np.nan", "np.inf")
    ),
    python("text to encode", "tiny().encode('image.png')", refused("", TYPED)),
    python("None to encode", "tiny().encode(None)", refused("", TYPED)),
    python(
        "whole numbers of another type to fit",
        "tiny().fit(np.zeros((4, 16, 16, 1), 'int64'), verbose=0)",
        either("(?i)int64|dtype|uint8|float|range|\\[-1", TYPED),
    ),
]

# === Labels ===

FIT = (
    "model = load('digits', filters=(4,), feature_dim=8)\n"
    "game = keras_csc.losses.TranscriptionGame('multi', num_classes=3)\n"
    "model.compile(game=game)\n"
    "model.fit(pixels(6), {labels}, verbose=0)"
)
LABELS = [
    python("good labels", FIT.format(labels="np.arange(6) % 3"), works()),
    *(
        python(
            f"labels: {kind}",
            FIT.format(labels=labels),
            refused("(?i)label", IN_GRAPH),
            kind == "out of range",
        )
        for kind, labels in (
            ("out of range", "np.int32([0, 1, 2, 3, 0, 1])"),
            ("all -1", "np.full(6, -1)"),
            ("below -1", "np.int32([0, 1, 2, -7, 0, 1])"),
            ("one-hot", "np.eye(3)[np.arange(6) % 3]"),
            ("floats", "np.float32([0, 1, 2, 0, 1, 1.5])"),
            ("of NaN", "np.full(6, np.nan, 'float32')"),
            ("a column", "(np.arange(6) % 3)[:, None, None]"),
            ("missing", "None"),
        )
    ),
    python(
        "labels of another number than images",
        FIT.format(labels="np.arange(5) % 3"),
        refused("(?i)cardinal|size|number"),
    ),
    python(
        "labels of words",
        FIT.format(labels="np.array(['cat'] * 6)"),
        refused("(?i)label|dtype|string|type", (*IN_GRAPH, "TypeError",
                                                "UnimplementedError")),
    ),
]  # fmt: skip

# === compile and fit ===

MODEL = "model = tiny(compiled=False)\n"
KERAS = [
    python(
        "sample_weight",
        "model = tiny()\n"
        "model.fit(pixels(), sample_weight=np.zeros(4), verbose=0)",
        refused("sample_weight"),
        True,
    ),
    python(
        "sample_weight in a data set",
        "data = tf.data.Dataset.from_tensors((pixels(), np.zeros(4), "
        "np.ones(4)))\ntiny().fit(data, verbose=0)",
        refused("sample_weight"),
    ),
    python(
        "class_weight",
        "tiny().fit(pixels(), np.zeros(4, int), class_weight={0: 0.0}, "
        "verbose=0)",
        refused("class_weight|sample_weight"),
    ),
    python(
        "sample_weight to evaluate",
        "tiny().evaluate(pixels(), sample_weight=np.zeros(4), verbose=0)",
        refused("sample_weight"),
    ),
    *(
        python(
            f"compile({arguments})",
            f"{MODEL}model.compile({arguments})\n"
            "model.fit(pixels(), verbose=0)",
            refused(says, TYPED if "lambda" in arguments else VALUE),
            arguments == "metrics=['mse']",
        )
        for arguments, says in (
            ("encoder_optimizer='adam'", "encoder_optimizer"),
            ("metrics=['mse']", "metrics"),
            ("weighted_metrics=['mse']", "weighted_metrics"),
            ("loss='mse'", "loss"),
            ("loss_weights=[1]", "loss"),
            ("update='both'", "update"),
            ("inner_step=True", "inner_step"),
            ("inner_step=2", "inner_step"),
            ("optimizer='adma'", "(?i)optimizer|adma"),
            ("game='binary'", "game"),
            ("colour='red'", "colour"),
        )
    ),
    python(
        "one optimizer for both players",
        MODEL + "one = keras.optimizers.Adam()\nmodel.compile(one, one)\n"
        "model.fit(pixels(), verbose=0)",
        refused("(?i)optimizer"),
    ),
    python(
        "fit before compile",
        MODEL + "model.fit(pixels(), verbose=0)",
        refused("compile"),
    ),
    python(
        "summary of a compiled model",
        "model = tiny()\nlines = []\nmodel.summary(print_fn="
        "lambda line, **_: lines.append(line))\n"
        "expect('params' in ' '.join(lines), 'no parameters')",
        works(),
        True,
    ),
    python(
        "TerminateOnNaN",
        "model = tiny()\n"
        "kernel = model.decoder.decoding_layers[-1].kernel\n"
        "kernel.assign(np.full(kernel.shape, np.nan))\n"
        "history = model.fit(pixels(64), batch_size=4, epochs=3, verbose=0, "
        "callbacks=[keras.callbacks.TerminateOnNaN()])\n"
        "expect(len(history.epoch) < 2 and model.step < 16, "
        "f'it went on to step {model.step}')",
        either("(?i)finite|nan", (*IN_GRAPH, "NonFiniteError")),
        True,
    ),
    python(
        "EarlyStopping",
        "model = tiny()\nhistory = model.fit(pixels(), epochs=4, verbose=0, "
        "validation_data=(pixels(),), callbacks=[keras.callbacks."
        "EarlyStopping('val_psnr', mode='max', min_delta=1e9)])\n"
        "expect(len(history.epoch) == 2, len(history.epoch))",
        works(),
    ),
    python(
        "ModelCheckpoint",
        "model = tiny()\nmodel.fit(pixels(), epochs=2, verbose=0, "
        "validation_data=(pixels(),), callbacks=[keras.callbacks."
        "ModelCheckpoint('out/best.keras', 'val_psnr', mode='max', "
        "save_best_only=True)])\n"
        "again = keras.models.load_model('out/best.keras')\n"
        "expect(again.encode(pixels()).shape == (4, 8), 'not so')",
        works(),
    ),
    python(
        "ReduceLROnPlateau",
        "tiny().fit(pixels(), epochs=3, verbose=0, validation_data=(pixels(),),"
        "callbacks=[keras.callbacks.ReduceLROnPlateau('val_psnr', mode='max', "
        "patience=0, min_delta=1e9)])",
        works(),
    ),
    python(
        "TensorBoard",
        "tiny().fit(pixels(), verbose=0, "
        "callbacks=[keras.callbacks.TensorBoard('out')])",
        works(),
    ),
    python(
        "validation without data",
        "tiny().fit(pixels(), validation_split=1.0, verbose=0)",
        refused("(?i)validation|split|empty"),
    ),
    python(
        "an empty data set to fit",
        "data = tf.data.Dataset.from_tensor_slices(pixels(0)).batch(4)\n"
        "tiny().fit(data, verbose=0)",
        refused("(?i)empty|no |any"),
    ),
    python(
        "eager fit of wrong images",
        MODEL + "model.compile(run_eagerly=True)\n"
        "model.fit(pixels(4, (8, 8, 1)), verbose=0)",
        refused(SIZE),
    ),
    python(
        "saved and loaded .keras",
        "model = tiny()\nos.mkdir('out')\nmodel.save('out/a.keras')\n"
        "again = keras.models.load_model('out/a.keras')\n"
        "expect(np.abs(again.encode(pixels()) - model.encode(pixels())) < 1e-5,"
        " 'other features')",
        works(),
    ),
]

# === Constructors ===

BAD_NUMBERS = ("float('nan')", "float('inf')", "-1", "'x'", "None")
GAME = (
    "epsilon",
    "encoder_rate",
    "decoder_rate",
    "encoder_consistency",
    "decoder_consistency",
    "multistage",
    "dictionary",
    "view_rate",
    "view_consistency",
)
CODING = "keras_csc.layers.ConvSparseCoding2D(**{{**dict(filters=4, " \
    "kernel_size=4, strides=2), '{name}': {value}}})"  # fmt: skip


def constructor(text, name, value):
    return python(
        f"{text.partition('(')[0].rpartition('.')[2]}({name}={value})",
        text.format(name=name, value=value),
        refused(name, TYPED if value in ("'x'", "None", "[4]") else VALUE),
    )


CONSTRUCTORS = [
    *(
        constructor(
            "keras_csc.losses.TranscriptionGame(**{{'{name}': {value}}})",
            name,
            value,
        )
        for name in GAME
        for value in BAD_NUMBERS[:4]
    ),
    *(
        constructor(
            "keras_csc.losses.TranscriptionGame({name}={value})",
            "num_classes",
            value,
        )
        for value in ("0", "-3", "2.5", "'x'")
    ),
    *(
        constructor(CODING, name, value)
        for name, values in (
            ("sparsity", BAD_NUMBERS),
            ("ridge", BAD_NUMBERS),
            ("iterations", (*BAD_NUMBERS, "0", "10**9")),
            ("filters", (*BAD_NUMBERS, "0", "10**12")),
            ("kernel_size", ("(4, 4)", "0", "-1", "float('nan')", "'x'")),
            ("strides", ("0", "-1", "float('nan')", "(2, 2)")),
        )
        for value in values
    ),
    *(
        constructor(
            "keras_csc.optimizers.DictionaryMuon({name}={value})",
            "learning_rate",
            value,
        )
        for value in ("float('nan')", "float('inf')", "-0.1")
    ),
    python(
        "two players of other shapes",
        "keras_csc.models.ClosedLoopAutoencoder(tiny().encoder, "
        "tiny(feature_dim=4).decoder)",
        refused("feature_dim"),
    ),
    python(
        "initialize_from too few images",
        "keras_csc.models.initialize_from(tiny(), pixels(2))",
        refused("image|number|8"),
    ),
    python(
        "initialize_from images of another size",
        "keras_csc.models.initialize_from(tiny(), pixels(99, (8, 8, 1)))",
        refused(SIZE),
    ),
    python(
        "initialize_from images of NaN",
        "keras_csc.models.initialize_from(tiny(), "
        "np.full((99, 16, 16, 1), np.nan, 'float32'))",
        refused("finite"),
    ),
]

CASES = [*SHAPES, *VALUES, *LABELS, *KERAS, *CONSTRUCTORS]
