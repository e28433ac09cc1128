"""`benchmarks/claims.py` end to end, on a few steps of the digits."""

import importlib.util
import pathlib

from training.command_line import UsageError

import pytest

from benchmarks import studies
from benchmarks.studies.definitions import STUDIES
from benchmarks.studies.pieces import Piece
from benchmarks.studies.pieces import Rows
from benchmarks.studies.plan import TINY
from benchmarks.studies.plan import Plan
from keras_csc import metrics

SCRIPT = pathlib.Path(studies.__file__).parents[1] / "claims.py"
SCALE = TINY._replace(
    contenders=("ours", "pca"),
    seeds=(0,),
    candidates=1,
    # One run is tuning, rate and the whole of study 3.
    tuning_images=512,
    short_images=512,
    rate_steps=8,
    batch_sizes=(64,),
    long_flags={},
    limit=60,
)


@pytest.fixture(scope="module")
def claims():
    """The script as a module: its name is not that of a package's module."""
    spec = importlib.util.spec_from_file_location("claims_script", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("claims")


@pytest.fixture(scope="module")
def session(claims, folder):
    """Of study 3, when it has run to its end."""
    session = make(claims, folder)
    assert session.run() == 0
    return session


def make(claims, folder):
    return claims.Session(
        SCALE, ["3"], None, folder, folder / "results/claims", folder / "page"
    )


def test_every_piece_has_a_row(session):
    missing, total = session.missing()
    assert not missing
    assert total == len(list(session.rows.folder.glob("*/*.json"))) == 3
    for number, entry in session.entries():
        row = session.rows.get(entry.piece)
        assert row["seconds"] >= 0
        assert {"date", "commit", "cores"} <= set(row["about"])
        if entry.piece.measure == "evaluation":
            assert row["figures"]["images"] == SCALE.limit
            assert row["figures"]["images_seen"] == SCALE.short_images
            assert 0 <= row["figures"]["knn_accuracy"] <= 1


def test_page_shows_the_rows_and_no_verdict_without_them(session):
    page = (session.page / "README.md").read_text()
    batches = page.partition("## 3. Batch size")[2].partition("## 4.")[0]
    for number, entry in session.entries():
        figures = session.rows.figures(entry.piece)
        if number == "3":
            assert f"{figures['psnr']:.2f}" in batches
    unseen = next(row for row in page.splitlines() if "never saw |" in row)
    assert unseen.count("not measured yet") == 2


def test_codes_that_are_probed_are_those_of_the_images(session):
    run = next(e.piece.run for _, e in session.entries() if "batch" in e.labels)
    found = session.bench.measure(Piece("stages", run, {}))["stages"]
    encoder = session.runs.load(run).model.encoder
    parts = []
    for split in ("train", "test"):
        images, labels = session.bench.images("digits", split)
        codes = encoder.stages(images).codes[-1]
        parts += [metrics.pooled_codes(codes).numpy(), labels]
    assert len(found) == len(encoder.filters)
    # bfloat16, of which other batches make other roundings.
    assert found[-1]["knn_accuracy"] == pytest.approx(
        metrics.knn_accuracy(*parts), abs=2 / SCALE.limit
    )


def test_finished_study_measures_nothing(session, claims, folder, monkeypatch):
    again = make(claims, folder)
    monkeypatch.setattr(again.bench, "measure", pytest.fail)
    assert again.run() == 0


def test_lost_row_is_measured_again_without_training(
    session, claims, folder, monkeypatch
):
    again = make(claims, folder)
    (lost,) = [
        entry.piece
        for _, entry in again.entries()
        if entry.labels.get("batch") == 64
    ]
    before = again.rows.figures(lost)["psnr"]
    again.rows.path(lost).unlink()
    monkeypatch.setattr("training.train.train", pytest.fail)
    assert [entry.piece for _, entry in again.missing()[0]] == [lost]
    assert again.run() == 0
    assert again.rows.figures(lost)["psnr"] == pytest.approx(before)


def test_run_that_another_process_works_on_is_left_to_it(
    claims, tmp_path, monkeypatch
):
    first, second = make(claims, tmp_path), make(claims, tmp_path)
    missing, _ = second.missing()
    monkeypatch.setattr(second.bench, "measure", pytest.fail)
    with first._held(missing[0][1].piece.run):
        second._measure_one(missing, "")
    figures = {"psnr": 20.0, "images_per_second": 100.0}
    monkeypatch.setattr(second.bench, "measure", lambda piece: figures)
    second._measure_one(missing, "")
    assert len(second.missing()[0]) == len(missing) - 1


def test_failing_piece_is_told_and_the_rest_measured(
    claims, tmp_path, monkeypatch, capsys
):
    session = make(claims, tmp_path)

    def measure(piece):
        if piece.measure == "evaluation":
            raise ValueError("no such luck")
        return {"psnr": 20.0, "images_per_second": 100.0}

    monkeypatch.setattr(session.bench, "measure", measure)
    assert session.run() == 1
    assert "Skipped: ValueError: no such luck" in capsys.readouterr().err
    assert "no such luck" in (tmp_path / "errors.log").read_text()
    missing, _ = make(claims, tmp_path).missing()
    assert [entry.labels["batch"] for _, entry in missing] == [64]


def test_tuned_settings_are_those_of_the_best_candidate(tmp_path):
    scale = TINY._replace(candidates=3)
    plan = Plan(scale, Rows(tmp_path))
    entries = list(plan.candidates("conv", "digits"))
    for entry, psnr in zip(entries, (10.0, 12.0, 11.0)):
        plan.rows.put(entry.piece, {"psnr": psnr})
    run = plan.standard("conv", "digits")
    assert run.flags["encoder_learning_rate"] == entries[1].labels["rate"]


def test_contenders_have_the_same_budget_and_widths(tmp_path):
    plan = Plan(TINY._replace(seeds=(0,)), Rows(tmp_path))
    for number in ("1", "2", "3"):
        runs = [
            entry.piece.run
            for entry in STUDIES[number].entries(plan)
            if entry.labels.get("budget", "equal images") == "equal images"
            and entry.labels["data"] == "digits"
            and entry.piece.run.kind != "pca"
            and entry.labels.get("batch", 64) == 64
        ]
        assert len(runs) > 3
        for flag in ("steps", "batch_size", "filters", "feature_dim"):
            assert len({run.flags[flag] for run in runs}) == 1, (number, flag)


def test_long_training_is_of_its_own_widths_and_rate(tmp_path):
    plan = Plan(TINY, Rows(tmp_path))
    flags = TINY.long_flags
    for key, rate in (("ours", 64.0), ("pixel", 128.0)):
        plan.rows.put(
            plan.rate_entry(key, "digits", **flags).piece,
            {"images_per_second": rate * 1e3},
        )
    steps = {
        entry.labels["contender"]: entry.piece.run.flags["steps"]
        for entry in STUDIES["1"].entries(plan)
        if entry.labels.get("budget") == "long"
        and entry.piece.run.flags["filters"] == flags["filters"]
    }
    minutes = TINY.long_minutes
    assert steps == {
        "ours": round(60 * minutes * 1e3),
        "pixel": round(2 * 60 * minutes * 1e3),
    }


def test_unknown_study_is_the_users_mistake(claims, tmp_path):
    with pytest.raises(UsageError, match="--studies=1,9 must name some of 0,"):
        claims.Session(
            SCALE, ["1", "9"], None, tmp_path, tmp_path, tmp_path / "page"
        )


def test_all_have_the_features_that_the_label_says(tmp_path):
    plan = Plan(
        TINY._replace(contenders=("ours", "pixel", "pca")), Rows(tmp_path)
    )
    entries = list(STUDIES["8"].entries(plan))
    kinds = {entry.piece.run.kind for entry in entries}
    assert kinds == {"closed_loop", "pixel", "pca"}
    for entry in entries:
        assert entry.piece.run.flags["feature_dim"] == entry.labels["features"]
        filters = entry.piece.run.flags.get("filters")
        assert filters == entry.labels.get("filters")
    widths = {TINY.flags["filters"], TINY.long_flags["filters"], None}
    assert {entry.labels.get("filters") for entry in entries} == widths
