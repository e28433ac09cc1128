from keras_csc.data.progress import Progress


def test_short_work_shows_nothing(capsys):
    progress = Progress("loading", 10)
    for done in range(1, 11):
        progress.update(done)
    assert capsys.readouterr().err == ""


def test_long_work_shows_plain_lines_and_its_end(capsys):
    progress = Progress("loading", 10, patience=0.0)
    for done in range(1, 11):
        progress.update(done)
    lines = capsys.readouterr().err.splitlines(keepends=True)
    assert lines[0].startswith("loading: 1/10  ")
    assert lines[-1].startswith("loading: 10/10  0 s left  ")
    for line in lines:
        assert line.endswith("/s\n") and "\r" not in line
