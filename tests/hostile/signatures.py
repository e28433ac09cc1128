"""Float signatures of a SavedModel: shapes and values.

Through `tf.saved_model.load`, and through the C API, as TensorFlow Serving.
"""

from tests.hostile.case import Case
from tests.hostile.case import either
from tests.hostile.case import refused
from tests.hostile.case import works

GRAPH = ("InvalidArgumentError",)
IMAGES = ("serving_default", "encode", "codes", "denoise")
ALL = (*IMAGES, "decode")
RANKS = {0: (), 1: (4,), 2: (4, 16), 3: (16, 16, 1), 5: (1, 4, 16, 16, 1)}
# What was expected, in TensorFlow's or in our words; and not what was given.
BATCH = r"(\?|None|-1|[a-z_]+), ?"
EXPECTED = {
    "decode": rf"{BATCH}8\b",
    **dict.fromkeys(IMAGES, rf"{BATCH}16, ?16, ?1\b"),
}
EMPTY = "(?i)empty|batch|at least one"
WORST = (("encode", 0), ("encode", 3), ("codes", 2), ("denoise", 0))


def shape(name, of, through="signature", worst=False):
    way = "C API" if through == "c_api" else "signature"
    return Case(
        f"{way}: {name} of shape {of}",
        refused(EMPTY if of[:1] == (0,) else EXPECTED[name], GRAPH),
        snippet=f"serve({name!r}, np.zeros({of}), {through})",
        seconds=30,
        worst=worst,
    )


def decode_ranks(rank):
    return {0: (), 1: (8,), 2: (4, 7), 3: (2, 4, 8), 5: (1, 1, 1, 2, 8)}[rank]


SHAPES = [
    *(
        shape(name, of, way, (name, rank) in WORST and way == "signature")
        for way in ("signature", "c_api")
        for name in IMAGES
        for rank, of in RANKS.items()
    ),
    *(
        shape("decode", decode_ranks(rank), way)
        for way in ("signature", "c_api")
        for rank in RANKS
    ),
    *(
        shape(name, of, worst=name == "encode" and of in ((4, 8, 8, 1),))
        for name in IMAGES
        for of in (
            (4, 8, 8, 1),
            (1, 32, 32, 1),
            (1, 16, 16, 3),
            (1, 375, 500, 1),
            (1, 16, 32, 1),
            (1, 0, 16, 1),
            (0, 16, 16, 1),
        )
    ),
    *(
        shape("decode", of, worst=of == (2, 128))
        for of in ((2, 128), (16, 4), (1, 0), (0, 8))
    ),
]


def value(name, snippet, expected, worst=False):
    return Case(
        f"value: {name}", expected, snippet=snippet, seconds=30, worst=worst
    )


SPARSITY = "signature('denoise', image=pixels(), sparsity=np.float32({}))"
# One bad item among good ones: refused, or the good ones are what they were.
ALONE = """
alone = serve({name!r}, {good})
batch = np.concatenate([{good}, {good}[:1]])
batch[4].flat[0] = {bad}
found = serve({name!r}, batch)
expect(np.abs(found[:4] - alone) < 1e-5, 'the others have changed')
expect(not np.isfinite(found[4]).all(), 'a plausible answer')
"""


def alone(name, bad, worst=False):
    good = "np.eye(4, 8, dtype='float32')" if name == "decode" else "pixels()"
    return value(
        f"{bad} among good ones to {name}",
        ALONE.format(name=name, good=good, bad=bad),
        either("(?i)finite|nan", GRAPH),
        worst,
    )


VALUES = [
    *(
        value(
            f"a sparsity of {bad}",
            SPARSITY.format(f"[0.1, {bad}, 0.1, 0.1]"),
            refused("(?i)sparsity", GRAPH),
            bad == "np.nan",
        )
        for bad in ("np.nan", "np.inf", "-np.inf", "-0.1", "-1e-30")
    ),
    value(
        "sparsities for two of four images",
        SPARSITY.format("[0.1, 0.1]"),
        refused("(?i)sparsity|shape", GRAPH),
    ),
    value(
        "sparsities for five of four images",
        SPARSITY.format("[0.1] * 5"),
        refused("(?i)sparsity|shape", GRAPH),
    ),
    value(
        "a sparsity of rank 0",
        SPARSITY.format("0.1"),
        either("(?i)sparsity|shape|rank", GRAPH),
    ),
    value(
        "no sparsity",
        "signature('denoise', image=pixels(), sparsity=np.zeros(0, 'f'))",
        refused("(?i)sparsity|shape", GRAPH),
    ),
    value(
        "one sparsity for all images",
        "found = signature('denoise', image=pixels(), "
        "sparsity=np.float32([0.1]))\n"
        "each = signature('denoise', image=pixels(), "
        "sparsity=np.full(4, 0.1, 'f'))\n"
        "expect(np.abs(found - each) < 1e-5, 'not the same')",
        works(),
    ),
    *(
        alone(name, bad, (name, bad) == ("decode", "np.nan"))
        for name in ALL
        for bad in ("np.nan", "np.inf")
    ),
    value(
        "finite but huge pixels",
        "found = serve('serving_default', np.full((4, 16, 16, 1), 1e30))\n"
        "expect(np.isfinite(found), 'not finite')",
        either("(?i)range|\\[-1", GRAPH),
    ),
    value(
        "features of 0",
        "expect(np.isfinite(serve('decode', np.zeros((4, 8)))), 'not finite')",
        works(),
    ),
    *(
        value(
            f"an item does not depend on its mates, {name}",
            f"batch = {'np.eye(8)' if name == 'decode' else 'pixels(8)'}\n"
            f"whole = serve('{name}', batch)\n"
            f"for i in range(8):\n"
            f"    one = serve('{name}', batch[i:i + 1])\n"
            f"    expect(np.abs(one[0] - whole[i]) < 1e-4, f'item {{i}}')",
            works(),
        )
        for name in ALL
    ),
    *(
        value(
            f"the C API answers as Keras, {name}",
            f"batch = {'np.eye(8)' if name == 'decode' else 'pixels(8)'}\n"
            f"found = serve('{name}', batch, c_api)\n"
            f"expect(np.abs(found - serve('{name}', batch)) < 1e-5, 'not so')",
            works(),
        )
        for name in ALL
    ),
]

CASES = [*SHAPES, *VALUES]
