from keras_csc.data.progress import Progress


def test_progress_is_silent_for_short_work(capsys):
    progress = Progress("loading", 10)
    for done in range(1, 11):
        progress.update(done)
    assert capsys.readouterr().err == ""


def test_progress_tells_counts_and_ends_its_line(capsys):
    progress = Progress("loading", 10, patience=0.0)
    for done in range(1, 11):
        progress.update(done)
    error = capsys.readouterr().err
    assert "loading: 1/10, " in error
    assert "/s, " in error
    assert "loading: 10/10, " in error
    assert error.endswith("left\n")
