"""Whatever can't be written is told in one sentence with the file's name, and nothing is left half written."""

import errno
import os
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from nnopt_lab.workbench.files import check_folder, check_writable, in_words, make_folder, naming, replacing

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def said(error) -> str:
    text = in_words(error.value)
    assert "\n" not in text and text.endswith(".") and "Errno" not in text
    return text


def test_a_folder_is_made_with_those_around_it_and_may_be_there(tmp_path):
    assert make_folder(tmp_path / "a" / "b") == make_folder(str(tmp_path / "a" / "b")) == tmp_path / "a" / "b"


@pytest.mark.parametrize("below", ["", "x", "x/y"])
@pytest.mark.parametrize("make", [make_folder, check_folder])
def test_what_stands_in_a_folders_way_is_named(tmp_path, make, below):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OSError) as error:
        make(tmp_path / "file" / below)
    assert said(error).startswith(f"{tmp_path / 'file'} must be a folder")
    assert (tmp_path / "file").read_text() == "mine"
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone" / "folder")
    with pytest.raises(OSError, match="nowhere"):
        make(tmp_path / "nowhere" / below)


def test_a_file_that_can_be_written_stays_as_it_is(tmp_path):
    (tmp_path / "old").write_text("mine")
    for name in ("old", "new"):
        check_writable(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["old"] and (tmp_path / "old").read_text() == "mine"
    check_folder(tmp_path / "folder")
    assert not list((tmp_path / "folder").iterdir())


def test_a_file_that_can_t_be_written_is_found_out(tmp_path):
    for path in (tmp_path, tmp_path / "no" / "folder", tmp_path / ("long" * 100)):
        with pytest.raises(OSError) as error:
            check_writable(path)
        assert str(path) in said(error)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a file of Linux on which nothing has room")
@pytest.mark.parametrize(
    "write",
    [
        lambda path: path.write_text("x"),
        lambda path: np.savez(path.open("wb"), x=np.ones(10)),
        lambda path: shutil.copyfile(__file__, path),
    ],
)
def test_a_full_disk_is_told_with_the_files_name(tmp_path, write):
    (tmp_path / "full").symlink_to("/dev/full")
    with pytest.raises(OSError) as error, naming(tmp_path / "full"):
        write(tmp_path / "full")
    assert str(tmp_path / "full") in said(error)


def test_errors_of_libraries_and_of_copied_folders_name_the_file(tmp_path):
    with pytest.raises(OSError) as error, naming("weights"):
        save_file({"x": torch.ones(1)}, tmp_path / "no" / "folder")
    assert said(error).startswith("weights can't be written")
    why = "[Errno 28] No space left on device: 'a' -> 'b'"
    with pytest.raises(OSError) as error, naming("kit"):
        raise shutil.Error([("a", "b", why)] * 500)
    assert said(error) == "kit can't be written: no space left on device."


def test_other_errors_pass(tmp_path):
    with pytest.raises(KeyError), naming(tmp_path):
        raise KeyError("x")
    with pytest.raises(OSError, match="my own words"), naming(tmp_path):
        raise OSError("my own words")


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "data.npz"
    with replacing(path) as unfinished:
        np.savez(unfinished, x=np.ones(1))
    assert list(np.load(path)) == ["x"]
    before = path.read_bytes()
    for trouble in (FULL, KeyboardInterrupt()):
        with pytest.raises(type(trouble)), replacing(path) as unfinished:
            unfinished.write_text("half")
            raise trouble
    assert [file.name for file in tmp_path.iterdir()] == ["data.npz"] and path.read_bytes() == before


def test_an_error_without_a_file_is_the_outputs():
    assert in_words(FULL) == "The output or a file can't be used: no space left on device."
    assert in_words(OSError(errno.EXDEV, "Invalid link", "a", None, "b")) == "b can't be used: invalid link."
    assert in_words(ValueError("x must be 1.")) == "x must be 1."
