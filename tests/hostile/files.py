"""Image files: in folders, and given to the signatures that take bytes."""

from tests.hostile.case import Case
from tests.hostile.case import either
from tests.hostile.case import refused
from tests.hostile.case import works

# Files that are images, by what makes their bytes; the model is grey, 16x16.
GOOD = {
    "PNG": "encoded('L')",
    "PNG of colour": "encoded('RGB')",
    "PNG with alpha": "encoded('RGBA')",
    "PNG, grey with alpha": "encoded('LA')",
    "PNG of a palette": "encoded('P')",
    "PNG of one bit": "encoded('1')",
    "PNG of 16 bits": "encoded('I;16')",
    "PNG of one pixel": "encoded('L', (1, 1))",
    "PNG of 1 x 500": "encoded('L', (1, 500))",
    "PNG of 500 x 1": "encoded('L', (500, 1))",
    "PNG of 13 x 2000": "encoded('L', (13, 2000))",
    "PNG of 20000 x 1": "png(20000, 1)",
    "JPEG": "encoded('L', kind='JPEG')",
    "JPEG of colour": "encoded('RGB', kind='JPEG')",
    "JPEG, progressive": "encoded('RGB', kind='JPEG', progressive=True)",
    "JPEG of CMYK": "encoded('CMYK', kind='JPEG')",
    "JPEG with bytes after it": "encoded('L', kind='JPEG') + b'notes'",
    "BMP": "encoded('RGB', kind='BMP')",
    "BMP, grey": "encoded('L', kind='BMP')",
    "GIF": "encoded('P', kind='GIF')",
    "GIF, animated": "encoded('P', kind='GIF', save_all=True, "
    "append_images=[Image.fromarray(np.ones((16, 16), np.uint8))])",
    "WebP": "encoded('RGB', kind='WEBP')",
    "TIFF": "encoded('RGB', kind='TIFF')",
}
# Files that are none, or that nobody wants.
BAD = {
    "no bytes": "b''",
    "one byte": "b'\\x89'",
    "text": "b'not an image'",
    "HTML": "b'<html><body>404</body></html>'",
    "zeros": "bytes(1000)",
    "a PNG's first bytes": "encoded('L')[:8]",
    "a PNG's header": "encoded('L')[:33]",
    "a PNG that is cut": "encoded('L')[:-40]",
    "a PNG of wrong checksums": "encoded('L')[:45] + b'x' + encoded('L')[46:]",
    "a JPEG's first bytes": "encoded('L', kind='JPEG')[:4]",
    "a JPEG that is cut to its header": "encoded('L', kind='JPEG')[:200]",
    "a GIF's header": "encoded('P', kind='GIF')[:13]",
    "a GIF of 65535 x 65535": "gif(65535, 65535)",
    "a BMP of 2 billion pixels": "bmp(65535, 32767)",
    "a BMP of no width": "bmp(0, 16)",
    "a BMP of negative width": "bmp(-16, 16)",
    "SVG": "b'<svg xmlns=\"http://www.w3.org/2000/svg\"></svg>'",
    "PDF": "b'%PDF-1.7 '",
    "a PNG of 300,000 x 1": "png(300_000, 1)",
    "a PNG of 1,000,000 x 1": "png(1_000_000, 1)",
    "a PNG of 1 x 300,000": "png(1, 300_000)",
    "a PNG of 30,000 x 30,000": "png(30_000, 30_000, 3)",
    "a PNG of 2 billion x 1": "png(2_000_000_000, 1, 0)",
    "a PNG of no width": "png(0, 16)",
    "base64": "b'iVBORw0KGgo='",
}
# Extreme shapes that are read correctly do no harm.
EXTREME = ("300,000", "1,000,000")
WORST = ("a PNG of 300,000 x 1", "a PNG of 1,000,000 x 1")
SIGNATURES = {
    "encode_bytes": "expect(np.isfinite(found), 'not finite')",
    "reconstruct_bytes": "expect(len(found[0]) > 20, 'no PNG')",
}


def given(signature, name, content, expected, **kwargs):
    return Case(
        f"bytes: {signature} of {name}",
        expected,
        snippet=f"found = signature('{signature}', image_bytes=[{content}])\n"
        + SIGNATURES[signature],
        seconds=30,
        **kwargs,
    )


def wrong(name):
    if any(size in name for size in EXTREME):
        return either("image|pixels|decode|size")
    return refused("(?i)image|decode|png|jpe?g|gif|bmp|pixels", GRAPH)


GRAPH = ("InvalidArgumentError",)
BYTES = [
    *(
        given("encode_bytes", name, content, works())
        for name, content in GOOD.items()
        if name not in ("WebP", "TIFF")
    ),
    *(
        given("encode_bytes", name, content, either("(?i)png"))
        for name, content in GOOD.items()
        if name in ("WebP", "TIFF")
    ),
    *(
        given("encode_bytes", name, content, wrong(name), worst=name in WORST)
        for name, content in BAD.items()
    ),
    *(
        given("reconstruct_bytes", name, BAD[name], wrong(name))
        for name in ("no bytes", "text", "a PNG of 300,000 x 1")
    ),
    Case(
        "bytes: no file at all",
        either("(?i)image|batch|empty"),
        snippet="found = saved_model().signatures['encode_bytes']"
        "(image_bytes=tf.constant([], tf.string))['features']\n"
        "expect(found.shape == (0, 8), found.shape)",
    ),
    Case(
        "bytes: a bad one among good ones",
        works(),
        snippet="good = [encoded('L', seed=i) for i in range(3)]\n"
        "alone = signature('encode_bytes', image_bytes=good)\n"
        "found = saved_model().signatures['encode_bytes']"
        "(image_bytes=tf.constant([*good, b'no']))\n"
        "features = found['features'].numpy()\n"
        "expect(np.abs(features[:3] - alone) < 1e-5, 'others have changed')\n"
        "expect(features[3] == 0, 'a plausible answer')\n"
        "expect(found['valid'] == [True] * 3 + [False], 'not told apart')",
    ),
    Case(
        "bytes: a file is the same as its pixels",
        works(),
        snippet="content = encoded('L')\n"
        "image = np.asarray(Image.open(io.BytesIO(content)))\n"
        "image = (image / 127.5 - 1).astype('float32')[None, ..., None]\n"
        "found = signature('encode_bytes', image_bytes=[content])\n"
        "expected = signature('encode', image=image)\n"
        "expect(np.abs(found - expected) < 1e-5, 'other features')",
    ),
    Case(
        "bytes: of rank 0",
        refused("(?i)shape|rank|scalar|vector|1-D|dimension", GRAPH),
        snippet="signature('encode_bytes', image_bytes=encoded('L'))",
    ),
    Case(
        "bytes: of rank 2",
        refused("(?i)shape|rank|scalar|vector|1-D|dimension", GRAPH),
        snippet="signature('encode_bytes', image_bytes=[[encoded('L')]])",
    ),
]

# === In folders ===

AMONG = """
keras_csc.data.open_dataset('image_folder', 'train', (16, 16, {c}), 'photos', 0)
source = keras_csc.data.open_dataset(
    'image_folder', 'train', (16, 16, {c}), 'photos', 0)
pixels, labels = keras_csc.data.load_arrays(source)
expect(len(pixels) == source.size, 'another number')
expect(source.size in ({least}, 31), f'{{source.size}} images')
"""


def among(name, content, mode, expected, least=30, **kwargs):
    channels = 1 if mode == "L" else 3
    return Case(
        f"file in a folder: {name}, {'grey' if mode == 'L' else 'colour'}",
        expected,
        snippet=AMONG.format(c=channels, least=least),
        setup=f"images('photos/train/cat', 30, '{mode}'); "
        f"write('photos/train/cat/x.{_ending(name)}', {content})",
        seconds=30,
        **kwargs,
    )


def _ending(name):
    for ending in ("JPEG", "BMP", "GIF", "WebP", "TIFF", "SVG", "PDF"):
        if ending in name:
            return ending.lower()
    return "png"


DATA = ("DataError",)
FOLDERS = [
    *(
        among(name, content, mode, works(), 31)
        for mode in ("L", "RGB")
        for name, content in GOOD.items()
        if name not in ("WebP", "TIFF")
    ),
    *(
        among(name, GOOD[name], mode, either(errors=DATA))
        for mode in ("L", "RGB")
        for name in ("WebP", "TIFF")
    ),
    *(
        among(name, content, "RGB", either("photos", DATA))
        for name, content in BAD.items()
    ),
]

CASES = [*BYTES, *FOLDERS]
