"""The file that keeps a class: private, whole, and refused in one sentence if it is something else."""

import json
import os
import stat

import pytest

from nnopt_lab.grading.live import codes, stored
from nnopt_lab.grading.live.board import Board
from nnopt_lab.grading.live.message import read
from tests.grading.live.classes import sent


@pytest.fixture
def kept(tmp_path):
    board, secrets = Board(), codes.new()
    board.receive("token", read(sent()), 1000)
    stored.save(tmp_path / "class.json", board, secrets, 8891)
    return tmp_path / "class.json", board, secrets


def test_a_class_comes_back_with_its_codes_port_and_rows(kept):
    path, board, secrets = kept
    again = Board()
    assert stored.load(path, again) == (secrets, 8891)
    assert again.view(1001) == board.view(1001)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such rights")
def test_only_the_owner_reads_it(kept):
    for _ in range(2):
        assert stat.S_IMODE(kept[0].stat().st_mode) == 0o600
        stored.save(*kept, 8891)
    assert [path.name for path in kept[0].parent.iterdir()] == ["class.json"]


def test_a_new_or_empty_file_is_a_new_class(tmp_path):
    assert stored.load(tmp_path / "new.json", Board()) is None
    (tmp_path / "empty.json").touch()
    assert stored.load(tmp_path / "empty.json", Board()) is None
    assert not (tmp_path / "new.json").exists()


@pytest.mark.parametrize("text", ["{", "[]", "null", '{"format": "nnopt class 1"}', "\udce9", "[" * 100_000])
def test_another_file_is_refused_and_kept(tmp_path, text):
    path = tmp_path / "other.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"other\.json is not a class"):
        stored.load(path, Board())
    assert path.read_bytes() == before


def test_every_damaged_part_is_refused(kept):
    path, *_ = kept
    whole = json.loads(path.read_text())
    row = whole["board"]["rows"][0]
    for place in (whole, whole["board"], row, row["message"]):
        for name, value in list(place.items()):
            if name in ("left", "code", "key") and place is not row:
                continue
            for wrong in (None, [None], {"x": 1}):
                place[name] = wrong
                path.write_text(json.dumps(whole))
                try:
                    stored.load(path, Board())
                except ValueError as error:
                    assert "is not a class" in str(error)
                else:
                    assert name in ("lesson", "item", "key", "removed"), (name, wrong)
            place[name] = value


def test_a_folder_can_not_be_the_file(tmp_path):
    with pytest.raises(OSError, match="folder"):
        stored.load(tmp_path, Board())
    with pytest.raises(OSError, match="does not exist"):
        stored.load(tmp_path / "no" / "class.json", Board())
