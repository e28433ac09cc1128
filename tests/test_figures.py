"""Figures of the README are the figures of the files that they come from."""

import collections
import json
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def row_of(table, **given):
    """The row of a study's table that has these values."""
    rows = json.loads((ROOT / "studies" / f"{table}.json").read_text())
    (row,) = (r for r in rows if given.items() <= r.items())
    return row


def evaluation_of(preset):
    """What the preset's card says of its test images."""
    path = ROOT / "trained" / preset / "metadata.json"
    return json.loads(path.read_text())["card"]["evaluation"]


@pytest.mark.parametrize(
    "task, channels, method",
    [("denoise 25", 1, "BM3D"), ("denoise 25", 3, "BM3D")]
    + [("inpaint", 1, "biharmonic")],
)
def test_restoration(task, channels, method):
    words = []
    for by in (method, "ours"):
        given = {"images": "shipped", "task": task, "channels": channels}
        row = row_of("restoration", method=by, **given)
        digits = 1 if row["seconds"] >= 1 else 2
        words.append(f"{row['psnr']:.2f} dB, {row['seconds']:.{digits}f} s")
    theirs, ours = words
    assert f"| {method}: {theirs} | {ours} |" in README


def test_sorting():
    given = {"data": "cifar10", "images": 300}
    theirs, ours = (
        f"{row_of('features', method=method, **given)['linear']:.2f}"
        for method in ("convolutions", "ours")
    )
    assert f"| three convolutions: {theirs} | {ours} |" in README


def test_regenerations():
    presets = "csc_ctrl_fashion_mnist", "csc_ctrl_cifar10"
    cards = [evaluation_of(preset) for preset in presets]
    pca = ", ".join(f"{card['psnr_of']['pca']:.1f}" for card in cards)
    ours = ", ".join(f"{card['psnr']:.1f}" for card in cards)
    numbers = " and ".join(
        str(card["psnr_of"]["pca_components"]) for card in cards
    )
    assert f": {numbers} numbers | PSNR | PCA: {pca} dB | {ours} dB" in README


def test_convolutions_in_our_game():
    """Means of three seeds, at the rate with the highest same class."""
    rows = json.loads((ROOT / "studies" / "results.json").read_text())

    def best(data, beginning, minutes=2):
        runs = collections.defaultdict(list)
        for row in rows:
            equal = f"--minutes={minutes}-" in row["key"]
            if equal and "same_class" in row and row["data"] == data:
                runs[row["name"]].append((row["same_class"], row["psnr"]))
        return max(
            tuple(sum(values) / 3 for values in zip(*seeds))
            for name, seeds in runs.items()
            if name.startswith(beginning) and len(seeds) == 3
        )

    data = "fashion_mnist", "cifar10"
    theirs = [best(name, "convolutions") for name in data]
    ours = [best(name, "CSC-CTRL") for name in data]
    (a, b), (c, d) = ([f"{same:.2f}" for same, _ in n] for n in (theirs, ours))
    e, f = (
        f"{best('digits', beginning, minutes=1)[0]:.3f}"
        for beginning in ("convolutions", "CSC-CTRL")
    )
    assert (
        f"| convolutions: {a}, {b} (digits, one minute: {e}) "
        f"| {c}, {d} (digits: {f}) |" in README
    )
    (a, b), (c, d) = ([f"{psnr:.1f}" for _, psnr in n] for n in (theirs, ours))
    assert f"| convolutions: {a}, {b} dB | {c}, {d} dB |" in README


def test_neighbours():
    rows = json.loads((ROOT / "studies" / "results.json").read_text())

    def means(name, key="centered_knn_accuracy"):
        for data in ("fashion_mnist", "cifar10"):
            given = {"name": name, "data": data}
            found = [r.get(key) for r in rows if given.items() <= r.items()]
            if found and found[0]:
                yield sum(found) / len(found)

    a, b = (f"{n:.2f}" for n in means("whitened principal components"))
    c, d = (f"{n:.2f}" for n in means("CSC-CTRL"))
    vae = ", ".join(f"{n:.2f}" for n in means("convolutional VAE"))
    psnr = ", ".join(f"{n:.1f}" for n in means("convolutional VAE", "psnr"))
    theirs = f"whitened PCA: {a}, {b}; VAE: {vae} (and {psnr} dB)"
    assert f"| 5-NN accuracy | {theirs} | {c}, {d} |" in README


def test_zeros():
    zeros = evaluation_of("csc_ctrl_cifar10")["zero_fraction"]
    *first, last = (f"{100 * share:.0f}" for share in zeros)
    assert f"{', '.join(first)} and {last} % by stage" in README


def test_the_rate_reduction():
    rows = json.loads((ROOT / "studies" / "results.json").read_text())

    def mean(name, key):
        given = {"data": "cifar10", "name": name}
        seeds = [r[key] for r in rows if given.items() <= r.items()]
        assert len(seeds) == 3
        return sum(seeds) / 3

    def means(key, names):
        return [mean(name, key) for name in names]

    text = " ".join(README.split())
    name = "256 features, 5,000 steps"
    names = name, f"{name}, without the rate reduction"
    ours, without = means("frechet_distance", names)
    alone = mean(f"{name}, ΔR(Z given y) alone", "frechet_distance")
    less, more = means("psnr", names)
    knn, others = means("centered_knn_accuracy", names)
    assert (
        f"Fréchet distance is {ours:.1f}, without it {without:.1f}, "
        f"at a cost of {more - less:.1f} dB" in text
    )
    assert f"the encoder plays alone, the distance is {alone:.1f}" in text
    assert f"features' 5-NN is {knn:.2f}, without it {others:.2f}" in text
    name = "384 features, 10,000 steps, without the rate reduction"
    kept = {
        f"{figures['same_class']:.3f}"
        for figures in (
            evaluation_of("csc_ctrl_cifar10"),
            next(row for row in rows if row["name"] == name),
        )
    }
    assert len(kept) == 1 and f"keep their class ({kept.pop()})" in text
