"""Rows of studies in files, and tables of them."""

from studies import tables


def test_rows_take_the_place_of_the_same_ones(tmp_path):
    path = tmp_path / "rows.json"
    assert tables.rows_of(path) == []
    first = {"name": "a", "size": 1, "psnr": 20.0}
    without_size = {"name": "a", "psnr": 21.0}
    second = {"name": "b", "size": 1, "psnr": 22.0}
    tables.put(path, [first, without_size, second], ["name", "size"])
    again = {**first, "psnr": 23.0}
    expected = [without_size, second, again]
    assert tables.put(path, [again], ["name", "size"]) == expected
    assert tables.rows_of(path) == expected


def test_rows_are_sorted_if_they_have_an_order(tmp_path):
    path = tmp_path / "rows.json"
    for name in ("b", "c", "a", "b"):
        found = tables.put(
            path, [{"name": name}], ["name"], lambda r: r["name"]
        )
    assert [row["name"] for row in found] == ["a", "b", "c"]
    assert tables.rows_of(path) == found


def test_a_table_is_markdown():
    found = tables.markdown(["", "PSNR"], [["a", "20"], ["b", ""]])
    assert found == "|  | PSNR |\n|-|-|\n| a | 20 |\n| b |  |"
