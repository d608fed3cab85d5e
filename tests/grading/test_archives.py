"""Archives are read in memory: what they hold is found and limited, and nothing in them leads anywhere."""

import os
import stat
import time

import pytest

from nnopt_lab.grading import archives
from nnopt_lab.grading.archives import find, read
from nnopt_lab.grading.learners import is_notebook
from tests.grading.classroom import archive


@pytest.fixture
def written(tmp_path):
    def of(content: bytes):
        (tmp_path / "class.zip").write_bytes(content)
        return tmp_path / "class.zip"

    return of


def found(path, trusted=True) -> dict[str, tuple[int, ...]]:
    return {"/".join(one.parts): one.place for one in find(path, is_notebook, trusted)}


def test_notebooks_are_found_and_read_also_in_an_archive_inside(written):
    inner = archive({"notes.txt": b"no", "deep/b.ipynb": b"B"})
    path = written(archive({"a.ipynb": b"A", "x/work.zip": inner, "__MACOSX/._a.ipynb": b"", ".git/c.ipynb": b""}))
    places = found(path)
    assert places.keys() == {"a.ipynb", "x/work.zip/deep/b.ipynb"}
    assert {name: read(path, place, 10)[0] for name, place in places.items()} == {
        "a.ipynb": b"A",
        "x/work.zip/deep/b.ipynb": b"B",
    }


def test_the_time_is_that_of_the_file_in_the_archive(written):
    path = written(archive({"a.ipynb": b"A"}))
    assert read(path, (0,), 9)[1] == time.mktime((2026, 11, 26, 12, 30, 0, 0, 0, -1))
    utc = b"UT\x05\x00\x01" + (1_700_000_000).to_bytes(4, "little")
    assert read(written(archive({"a.ipynb": b"A"}, extra=utc)), (0,), 9)[1] == 1_700_000_000
    impossible = read(written(archive({"a.ipynb": b"A"}, date_time=(1980, 0, 0, 0, 0, 0))), (0,), 9)[1]
    assert impossible != impossible


def test_names_are_utf_8_also_where_the_archive_does_not_say_so(written):
    data = archive({"Zoë/a.ipynb": b"A"}).replace(b"\x00\x08", b"\x00\x00")  # the flag that says so
    assert set(found(written(data))) == {"Zoë/a.ipynb"}
    assert set(found(written(archive({"Zo\\a.ipynb": b"A"})))) == {"Zo/a.ipynb"}


@pytest.mark.parametrize("name", ["../a.ipynb", "/etc/a.ipynb", "x/../../a.ipynb", "..\\a.ipynb", "C:/a.ipynb"])
def test_a_name_that_leads_out_is_not_read(written, tmp_path, name):
    path = written(archive({name: b"A"}))
    (place,) = found(path).values()
    with pytest.raises(ValueError, match="leads out"):
        read(path, place, 10)
    assert {file.name for file in tmp_path.iterdir()} == {"class.zip"}


def test_a_link_is_not_followed(written):
    path = written(archive({"a.ipynb": b"/etc/passwd"}, external_attr=(stat.S_IFLNK | 0o777) << 16, create_system=3))
    with pytest.raises(ValueError, match="It is a link"):
        read(path, (0,), 10)


def test_no_more_is_read_than_wanted_however_much_it_unpacks_to(written):
    path = written(archive({"a.ipynb": bytes(50 << 20)}))
    assert path.stat().st_size < 1 << 20 and len(read(path, (0,), 1000)[0]) == 1000


def test_an_archive_of_a_learner_is_limited_in_bytes_and_entries(written, monkeypatch):
    bomb = archive({"work.zip": archive({"a.ipynb": bytes(1 << 20)}), "many.zip": archive(dict.fromkeys("abc", b""))})
    assert found(written(bomb)).keys() == {"work.zip/a.ipynb", "many.zip"}
    monkeypatch.setattr(archives, "MAX_ENTRIES", 2)
    for place in found(written(bomb)).values():
        read(written(bomb), place, 10)
    with pytest.raises(ValueError, match="more than 2 files"):
        find(written(archive(dict.fromkeys(("a.ipynb", "b", "c"), b""))), is_notebook, trusted=False)
    monkeypatch.setattr(archives, "MAX_BYTES", 100)
    with pytest.raises(ValueError, match="archive of more than"):
        find(written(archive({"a.ipynb": os.urandom(200)})), is_notebook, trusted=False)


@pytest.mark.parametrize("content", [b"", b"PK", b"PK\x03\x04" + bytes(100), b"no archive", bytes(1000)])
def test_what_is_no_archive_is_told_in_a_sentence(written, content):
    with pytest.raises(ValueError, match="not a readable zip archive"):
        find(written(content), is_notebook, trusted=True)


def test_damage_and_encryption_are_told_in_a_sentence(written):
    whole = archive({"a.ipynb": b"A" * 1000, "b.ipynb": os.urandom(1000)})
    for at in range(30, len(whole), 7):
        path = written(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        try:
            for place in found(path).values():
                read(path, place, 2000)
        except ValueError as error:
            assert str(error).startswith("It ")
    with pytest.raises(ValueError, match="encrypted"):
        read(written(archive({"a.ipynb": b"A"}).replace(b"\x14\x00\x00\x00", b"\x14\x00\x01\x00")), (0,), 10)


def test_a_link_to_an_archive_is_not_opened(written, tmp_path):
    (tmp_path / "link.zip").symlink_to(written(archive({"a.ipynb": b"A"})))
    with pytest.raises(ValueError, match="It is a link"):
        find(tmp_path / "link.zip", is_notebook, trusted=False)
