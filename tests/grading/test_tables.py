"""Tables as spreadsheets save them."""

import pytest

from nnopt_lab.grading import tables


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_every_way_of_saving_a_table_gives_the_same_rows(encoding, delimiter, end):
    lines = [["name", "e-mail"], ["Zoë Müller", "z@x.org"], ["李娜", ""], ["", ""], ['"O""Brien"', "o@x.org"]]
    text = end.join(delimiter.join(line) for line in lines)
    titles, rows = tables.rows(tables.decoded(text.encode(encoding), "t.csv"), "t.csv")
    assert titles == ["name", "e-mail"]
    assert rows == [(2, ["Zoë Müller", "z@x.org"]), (3, ["李娜", ""]), (5, ['O"Brien', "o@x.org"])]


def test_a_delimiter_in_a_quoted_title_does_not_count_and_a_declared_one_does():
    assert tables.rows('"a, b, c";d\n1;2\n', "t")[0] == ["a, b, c", "d"]
    assert tables.rows("sep=;\r\na,b;c\r\n1;2\r\n", "t") == (["a,b", "c"], [(3, ["1", "2"])])
    assert tables.rows("\n\nname\nann\n", "t") == (["name"], [(4, ["ann"])])


@pytest.mark.parametrize("data", ["name\nZoë".encode("latin-1"), b"\xff\xfea", b"PK\x03\x04\xff\xfe\x00"])
def test_other_bytes_are_refused_with_the_file_s_name(data):
    with pytest.raises(ValueError, match=r"class\.csv is not UTF-8 text"):
        tables.decoded(data, "class.csv")
