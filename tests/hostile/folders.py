"""Folders of images."""

from tests.hostile.case import Case
from tests.hostile.case import either
from tests.hostile.case import refused
from tests.hostile.case import works
from tests.hostile.material import PHOTOS

DATA = ("DataError",)
# Both splits of a folder; their files are all different, and of their class.
OPENED = """
def opened(split, shape=(16, 16, 3), root='photos'):
    return keras_csc.data.open_dataset('image_folder', split, shape, root, 0.0)

def check(train, test):
    found = []
    for source in (train, test):
        labels = keras_csc.data.load_arrays(source)[1]
        for i, label in enumerate(labels):
            path = source.locate(i)
            found.append(os.path.realpath(path))
            if label >= 0:
                name = source.class_names[label]
                expect(f'/{name}/' in found[-1], f'{path} is called {name}')
    expect(len(set(found)) == len(found), 'a file is there twice')
    return len(found)
"""


def folder(name, setup, rest, expected=None, **kwargs):
    return Case(
        f"image folder: {name}",
        expected or either(errors=DATA),
        snippet=OPENED + rest,
        setup=setup,
        seconds=30,
        **kwargs,
    )


def counted(number):
    """Opens both splits, and counts the different files."""
    return (
        f"count = check(opened('train'), opened('test'))\n"
        f"expect(count == {number}, f'{{count}} files instead of {number}')"
    )


CLASSES = "images('photos/cat', 30); images('photos/dog', 30, seed=500)\n"
WALKS = [
    folder("as it should be", "photos()", counted(48), works()),
    folder("classes without splits", CLASSES, counted(60), works()),
    folder(
        "a link to the parent",
        CLASSES + "link('photos/cat/up', '..')",
        counted(60),
        worst=True,
    ),
    folder(
        "two links to the parent",
        CLASSES + "link('photos/cat/up', '..'); link('photos/dog/up', '..')",
        counted(60),
        worst=True,
    ),
    folder(
        "a link to itself", CLASSES + "link('photos/cat/x', '.')", counted(60)
    ),
    folder(
        "a link from one class to the other",
        CLASSES + "link('photos/cat/other', '../dog')",
        counted(60),
    ),
    folder(
        "a class that is a link to another",
        CLASSES + "link('photos/bird', 'cat')",
        "check(opened('train'), opened('test'))",
    ),
    folder(
        "a link out of the folder",
        CLASSES
        + "images('private/x', 5); link('photos/cat/p', '../../private')",
        "for split in ('train', 'test'):\n"
        "    source = opened(split)\n"
        "    for i in range(source.size):\n"
        "        path = os.path.realpath(source.locate(i))\n"
        "        expect('private' not in path, path)",
    ),
    folder(
        "a file that is a link to one in another class",
        CLASSES + "link('photos/cat/x.png', '../dog/0.png')",
        counted(60),
    ),
    folder(
        "the same file in training and test",
        "photos()\nlink('photos/test/cat/x.png', '../../train/cat/0.png')",
        counted(48),
    ),
    folder(
        "the whole folder is a link",
        "photos('real')\nlink('photos', 'real')",
        counted(48),
        works(),
    ),
    folder(
        "a dangling link",
        CLASSES + "link('photos/cat/x.png', 'nowhere')",
        counted(60),
        worst=True,
    ),
    folder(
        "a FIFO", CLASSES + "fifo('photos/cat/x.png')", counted(60), worst=True
    ),
    folder(
        "a link to a device",
        CLASSES + "link('photos/cat/x.png', '/dev/zero')",
        counted(60),
        worst=True,
    ),
    folder(
        "a link to a random device",
        CLASSES + "link('photos/cat/x.png', '/dev/urandom')",
        counted(60),
    ),
    folder(
        "a socket",
        CLASSES
        + "import socket; s = socket.socket(socket.AF_UNIX); "
        + "s.bind('photos/cat/x.png')",
        counted(60),
    ),
    folder(
        "a file that can't be read",
        CLASSES + "link('photos/cat/x.png', '/proc/self/mem')",
        counted(60),
    ),
    folder(
        "a folder that is called as an image",
        CLASSES + "images('photos/cat/x.png', 3, seed=900)",
        counted(63),
    ),
    folder(
        "a name that is not UTF-8",
        CLASSES + "write(os.fsdecode(b'photos/cat/\\xff\\xfe.png'), encoded())",
        "check(opened('train'), opened('test'))",
        worst=True,
    ),
    folder(
        "a class that is not UTF-8",
        CLASSES
        + "os.mkdir(os.fsdecode(b'photos/\\xff')); "
        + "write(os.fsdecode(b'photos/\\xff/0.png'), encoded())",
        "check(opened('train'), opened('test'))",
    ),
    folder(
        "names with spaces, newlines and quotes",
        CLASSES + "image('photos/cat/a \\n\\'\\\".png', seed=900)",
        counted(61),
        works(),
    ),
    folder(
        "deep folders",
        CLASSES + "image('photos/cat/' + 'a/' * 200 + 'x.png', seed=900)",
        counted(61),
    ),
    folder(
        "hidden folders and files",
        CLASSES
        + "images('photos/.cache/thumbnails', 5); image('photos/cat/.x.png')",
        counted(60),
        works(),
    ),
    folder(
        "an empty class",
        CLASSES + "os.mkdir('photos/bird')",
        counted(60),
    ),
    folder(
        "a class in the test images alone",
        "photos(); images('photos/test/bird', 3)",
        "opened('train'); opened('test')",
        refused("bird", DATA),
    ),
    folder(
        "classes in another order of letters",
        "photos(); images('photos/train/Ant', 3, seed=900); "
        "images('photos/test/Ant', 3, seed=950)",
        counted(54),
        works(),
    ),
    folder(
        "images beside classes",
        CLASSES + "image('photos/x.png')",
        "opened('train')",
        refused("x.png", DATA),
    ),
    folder("nothing", "os.mkdir('photos')", "opened('train')",
           refused("photos", DATA)),
    folder("no folder", "", "opened('train')", refused("photos", DATA)),
    folder("a file", "write('photos', 'x')", "opened('train')",
           refused("photos", DATA)),
    folder("one image", "images('photos', 1)",
           "opened('train'); opened('test')", refused("photos", DATA)),
    folder("text files alone", "write('photos/cat/a.txt', 'x')",
           "opened('train')", refused("photos", DATA)),
    folder(
        "no test images",
        "images('photos/train/cat')",
        "opened('test')",
        refused("test", DATA),
    ),
    folder(
        "a fraction of NaN",
        "photos()",
        "keras_csc.data.open_dataset('image_folder', 'train', (16, 16, 3), "
        "'photos', float('nan'))",
        refused("validation_fraction"),
    ),
    folder(
        "a shape without channels",
        "photos()",
        "opened('train', (16, 16))",
        refused("shape", ("ValueError", "DataError")),
    ),
    folder(
        "a shape of no pixels",
        "photos()",
        "opened('train', (0, 16, 3))",
        refused("shape", ("ValueError", "DataError")),
    ),
    folder(
        "a split that is none",
        "photos()",
        "opened('tset')",
        refused("tset", ("ValueError", "DataError")),
    ),
    folder(
        "many damaged files",
        CLASSES + "cut('photos/cat/1.png'); cut('photos/cat/2.png')\n"
        "cut('photos/cat/3.png'); cut('photos/cat/4.png')",
        "opened('train'); opened('test')",
        refused("cannot be decoded", DATA),
    ),
    folder(
        "an image that vanishes after it was listed",
        CLASSES,
        "source = opened('train')\nos.remove(source.locate(0))\n"
        "keras_csc.data.load_arrays(source)",
        refused("photos", DATA),
        writes=("photos",),
    ),
    folder(
        "an image that is damaged after it was listed",
        CLASSES,
        "source = opened('train')\nwrite(source.locate(0), 'x')\n"
        "keras_csc.data.load_arrays(source)",
        refused("photos", DATA),
        writes=("photos",),
    ),
]  # fmt: skip


def training(name, setup, expected, more="", **kwargs):
    return Case(
        f"training folder: {name}",
        expected,
        f"train.py {PHOTOS} --data_dir=photos --workdir=run "
        f"--noevaluate {more}".strip(),
        setup=setup,
        **kwargs,
    )


BESIDE = "images('photos/train/cat', 12); images('photos/test/cat', 12)\n"
SAID = "pathlib.Path('run/model').is_dir()"
TRAININGS = [
    training("as it should be", BESIDE, works(SAID)),
    training(
        "a link to a device, left out and said",
        BESIDE + "link('photos/train/cat/x.png', '/dev/zero')",
        works(SAID, "left out|not .*regular"),
        seconds=30,
    ),
    training(
        "a FIFO, left out and said",
        BESIDE + "fifo('photos/train/cat/x.png')",
        works(SAID, "left out|not .*regular"),
        seconds=30,
    ),
    training(
        "a dangling link, left out and said",
        BESIDE + "link('photos/train/cat/x.png', 'nowhere')",
        works(SAID, "left out|not .*regular"),
    ),
    training(
        "a loop, left out and said",
        BESIDE + "link('photos/train/cat/up', '..')",
        works(SAID, "left out|link"),
    ),
    training(
        "a name that is not UTF-8, left out and said",
        BESIDE + "write(os.fsdecode(b'photos/train/cat/\\xff.png'), encoded())",
        works(SAID, "left out|UTF-8"),
    ),
    training(
        "WebP and TIFF, read or said",
        BESIDE
        + "image('photos/train/cat/x.webp', kind='WEBP'); "
        + "image('photos/train/cat/x.tiff', kind='TIFF')",
        works(SAID),
    ),
    training(
        "an image of extreme shape",
        BESIDE + "write('photos/train/cat/x.png', png(300_000, 1))",
        works(SAID),
        "--random_crop",
    ),
    *(
        training(f"crops, {name}", BESIDE + setup, expected, "--noresize")
        for name, setup, expected in (
            ("as it should be", "", works(SAID)),
            (
                "of an image of extreme shape",
                "write('photos/train/cat/x.png', png(300_000, 1))",
                works(SAID),
            ),
            (
                "of images larger and smaller than one, WebP and TIFF",
                "cat = 'photos/train/cat/'; "
                "image(cat + 'x.webp', size=(200, 90), kind='WEBP'); "
                "image(cat + 'x.tiff', size=(70, 64), kind='TIFF')",
                works(SAID),
            ),
            (
                "of a damaged image",
                "data = encoded(size=(300, 300)); "
                "data = data[:5000] + bytes(500) + data[5500:]; "
                "write('photos/train/cat/x.png', data)",
                either("x.png|Trained"),
            ),
        )
    ),
    training(
        "an image of 30,000 x 30,000 pixels",
        BESIDE + "write('photos/train/cat/x.png', png(30_000, 30_000, 9))",
        either("x.png|Trained"),
    ),
    training("missing", "", refused("photos")),
    training(
        "empty data_dir", BESIDE, refused("data_dir|folder"), "--data_dir="
    ),
    training(
        "fewer images than a batch", BESIDE, refused("batch"), "--batch_size=64"
    ),
    training(
        "multi without labels",
        "images('photos', 60)",
        refused("labels"),
        "--game=objective=multi",
    ),
]


def tfds(name, setup, expected):
    return Case(
        f"TFDS: {name}",
        expected,
        "train.py --dataset=cifar10 --preset=cifar10 "
        "--architecture=filters=4,feature_dim=8 "
        "--batch_size=8 --steps=2 --noevaluate "
        "--workdir=run --data_dir=tfds",
        setup=setup,
    )


INFO = "tfds/cifar10/3.0.2/dataset_info.json"
TFDS = [
    tfds("no data", "os.mkdir('tfds')", refused("cifar10")),
    tfds("a file", "write('tfds', 'x')", refused("tfds|cifar10")),
    tfds("an empty version", "os.makedirs('tfds/cifar10/3.0.2')",
         refused("cifar10")),
    tfds("a description that is cut", f"write('{INFO}', '{{\"name\": \"ci')",
         refused("cifar10|dataset_info.json")),
    tfds("a description of another kind", f"write('{INFO}', '[]')",
         refused("cifar10|dataset_info.json")),
    tfds("a description that is binary",
         f"write('{INFO}', bytes(range(256)))",
         refused("cifar10|dataset_info.json")),
]  # fmt: skip

CASES = [*WALKS, *TRAININGS, *TFDS]
