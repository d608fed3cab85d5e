"""An update in files: a backup first, then the merged notebook, and one sentence for what can't be updated."""

import json
import os
import stat
from pathlib import Path
from unittest import mock

import nbformat
import pytest

from nnopt_lab.course import record
from nnopt_lab.course import update as module
from nnopt_lab.course import workspace as workspace_module
from nnopt_lab.course.exercises import cell_id
from nnopt_lab.course.lesson_files import paths
from nnopt_lab.course.update import outdated, update
from nnopt_lab.course.workspace import MANIFEST, fill, restore

LESSON, OTHER = "01_pruning", "02_convolutions"
ANSWER = "def l1_importance(weight):\n    return weight.abs().sum((1, 2, 3))"
KEY = cell_id("exercise", "pruning.l1_importance")


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A course of two lessons as it ships them, whose texts a test may change."""
    root = tmp_path / "course"
    (root / "notebooks").mkdir(parents=True)
    for lesson in (LESSON, OTHER):
        (root / "notebooks" / f"{lesson}.ipynb").write_bytes(paths(lesson)[False].read_bytes())
    monkeypatch.setattr(workspace_module, "root", lambda: root)
    monkeypatch.setattr(module, "_is_open", lambda path: False)
    return root


@pytest.fixture
def mine(tmp_path, course):
    folder = tmp_path / "work"
    fill(folder)
    return folder


def change(folder: Path, lesson: str, edit) -> Path:
    """Change a notebook's content in place."""
    path = folder / f"{lesson}.ipynb"
    content = json.loads(path.read_text(encoding="utf-8"))
    edit(content)
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1), encoding="utf-8")
    return path


def publish(course: Path, lesson: str = LESSON, text: str = "A new remark.") -> None:
    """A newer text: other prose at the start, and a new cell, which moves the numbers of all that follow."""

    def edit(content):
        cells = content["cells"]
        cells[0]["source"] = "# A new title"
        new = {"cell_type": "markdown", "metadata": {}, "source": text, "id": "new"}
        content["cells"] = [cells[0], new, *cells[1:]]
        for n, cell in enumerate(content["cells"]):
            if not cell["id"].startswith(("exercise-", "question-")):
                cell["id"] = f"{lesson}-{n:03d}"

    change(course / "notebooks", lesson, edit)


def answer(content) -> None:
    cells = content["cells"]
    place = next(n for n, cell in enumerate(cells) if cell["id"] == KEY)
    cells[place] |= {"source": ANSWER, "execution_count": 3}
    own = {
        "cell_type": "code",
        "id": "mine",
        "source": "print('mine')",
        "metadata": {},
        "outputs": [],
        "execution_count": 1,
    }
    cells.insert(place + 1, own)


def sources(path: Path) -> list[str]:
    return ["".join(cell["source"]) for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]]


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_the_new_text_comes_and_answers_own_cells_points_and_a_backup_stay(course, mine):
    path = change(mine, LESSON, answer)
    record.note_attempt("exercises", "pruning.l1_importance", True, 2)
    before, progress = path.read_bytes(), record.read(mine)
    old_time = path.stat().st_mtime_ns
    publish(course)
    assert outdated(mine) == [LESSON]
    done = update(LESSON, mine)
    assert done.backup.read_bytes() == before and done.backup.parent == mine
    assert done.backup.stat().st_mtime_ns == old_time, "for a grader that takes the last attempt"
    said = sources(path)
    assert said[:2] == ["# A new title", "A new remark."] and said.count(ANSWER) == said.count("print('mine')") == 1
    assert said.index("print('mine')") == said.index(ANSWER) + 1
    nbformat.validate(nbformat.read(path, as_version=4))
    assert record.read(mine) == progress and fill(mine) == [] and outdated(mine) == []
    assert (done.merged.answers, done.merged.own, done.merged.changed) == (1, 1, 2) and not done.merged.conflicts
    held = files(mine)
    assert update(LESSON, mine) is None and files(mine) == held


def test_a_dry_run_tells_the_same_and_writes_nothing(course, mine):
    change(mine, LESSON, answer)
    publish(course)
    held = files(mine)
    told = update(LESSON, mine, dry_run=True)
    assert files(mine) == held and told.backup is None
    assert told.merged == update(LESSON, mine).merged and "2 cells of the lesson are new" in told.lines()[0]


def test_a_copy_without_changes_is_replaced_without_a_backup(course, mine):
    publish(course)
    assert update(LESSON, mine, dry_run=True).merged is None and outdated(mine) == [LESSON]
    held = set(files(mine))
    assert "you had changed nothing" in update(LESSON, mine).lines()[0] and set(files(mine)) == held
    assert (mine / f"{LESSON}.ipynb").read_bytes() == (course / "notebooks" / f"{LESSON}.ipynb").read_bytes()


def test_points_and_due_date_of_a_newer_kit_come_and_the_learner_s_metadata_stay(course, mine):
    def kernel(content):
        content["metadata"]["kernelspec"] = {"name": "mine", "display_name": "Mine"}
        answer(content)

    path = change(mine, LESSON, kernel)
    change(course / "notebooks", LESSON, lambda content: content["metadata"].update(nnopt={"due": "2026-12-01"}))
    update(LESSON, mine)
    metadata = json.loads(path.read_text(encoding="utf-8"))["metadata"]
    assert metadata["kernelspec"]["name"] == "mine" and metadata["nnopt"] == {"due": "2026-12-01"}


@pytest.mark.parametrize("damage", ["missing", "[]", "{", '{"cells": 3}', f'{{"cells": {{"{LESSON}": [1]}}}}'])
def test_without_a_record_of_what_was_copied_nothing_is_lost_either(course, mine, damage):
    def both(content):
        answer(content)
        content["cells"][0]["source"] += "\nMy remark."

    path = change(mine, LESSON, both)
    (mine / MANIFEST).unlink()
    if damage != "missing":
        (mine / MANIFEST).write_text(damage)
    publish(course)
    update(LESSON, mine)
    said = "\n".join(sources(path))
    assert ANSWER in said and "print('mine')" in said and "My remark." in said and "A new remark." in said
    assert update(LESSON, mine) is None


def test_a_workspace_from_before_the_cells_were_noted_gets_them_with_the_next_fill(course, mine):
    held = json.loads((mine / MANIFEST).read_text())
    (mine / MANIFEST).write_text(json.dumps({lesson: held[lesson] for lesson in (LESSON, OTHER)}))
    assert fill(mine) == []
    assert json.loads((mine / MANIFEST).read_text()) == held


def test_a_reset_copy_can_be_updated_next_time(course, mine):
    change(mine, LESSON, answer)
    restore(LESSON, mine)
    path = change(mine, LESSON, answer)
    publish(course)
    update(LESSON, mine)
    assert ANSWER in sources(path) and "A new remark." in sources(path)


def test_without_ids_and_metadata_the_answer_is_found_by_its_name(course, mine):
    def stripped(content):
        answer(content)
        content["nbformat_minor"] = 4
        for cell in content["cells"]:
            del cell["id"]
            cell["metadata"] = {}

    path = change(mine, LESSON, stripped)
    publish(course)
    done = update(LESSON, mine)
    assert "Found by name" in done.lines()[1] and "pruning.l1_importance" in done.lines()[1]
    assert sources(path).count(ANSWER) == 1
    nbformat.validate(nbformat.read(path, as_version=4))
    cell = next(c for c in json.loads(path.read_text("utf-8"))["cells"] if "".join(c["source"]) == ANSWER)
    assert cell["id"] == KEY and cell["metadata"]["exercise"] == "pruning.l1_importance"


BROKEN = {
    "not JSON": (b"not a notebook", "is not JSON"),
    "empty": (b"", "is not JSON"),
    "not text": (b"\xff\xfe\x00", "is not JSON"),
    "deep": (b"[" * 100_000, "is not JSON"),
    "a list": (b"[1]", "is not a notebook"),
    "without a format": (b"{}", "is not a notebook"),
    "an old format": (b'{"nbformat": 3, "worksheets": []}', "is of notebook format 3"),
    "a newer format": (b'{"nbformat": 5, "cells": []}', "is of notebook format 5"),
    "no cells": (b'{"nbformat": 4}', "damaged list of cells"),
    "a cell without a source": (b'{"nbformat": 4, "cells": [{"cell_type": "code"}]}', "damaged list of cells"),
    "a strange cell": (b'{"nbformat": 4, "cells": [{"cell_type": "code", "source": [3]}]}', "damaged list of cells"),
    "a strange number": (b'{"nbformat": 4, "nbformat_minor": "x", "cells": []}', "no valid number"),
    "somebody else's": (b'{"nbformat": 4, "nbformat_minor": 5, "cells": []}', "no cell of that lesson"),
}


@pytest.mark.parametrize("data, sentence", BROKEN.values(), ids=BROKEN.keys())
def test_a_file_that_is_no_notebook_of_the_lesson_is_one_sentence_and_stays(course, mine, data, sentence):
    (mine / f"{LESSON}.ipynb").write_bytes(data)
    publish(course)
    held = files(mine)
    with pytest.raises(ValueError, match=sentence) as error:
        update(LESSON, mine)
    assert "\n" not in str(error.value) and f"{LESSON}.ipynb" in str(error.value) and files(mine) == held


def test_another_lesson_under_this_name_is_named(course, mine):
    (mine / f"{LESSON}.ipynb").write_bytes((mine / f"{OTHER}.ipynb").read_bytes())
    change(mine, LESSON, lambda content: content["cells"].pop())
    publish(course)
    with pytest.raises(ValueError, match=f"contains the cells of {OTHER}; nothing was changed"):
        update(LESSON, mine)


def test_strange_ids_and_metadata_do_no_harm(course, mine):
    def odd(content):
        answer(content)
        for n, (id, metadata) in enumerate([(3, []), (None, 3), ([], {"exercise": 3}), ("ä b", None), ("x" * 99, {})]):
            content["cells"][n] |= {"id": id, "metadata": metadata, "source": f"odd {n}"}

    path = change(mine, LESSON, odd)
    publish(course)
    update(LESSON, mine)
    said = "\n".join(sources(path))
    assert ANSWER in said and all(f"odd {n}" in said for n in range(5))
    ids = [cell["id"] for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]]
    assert len(set(ids)) == len(ids) and all(isinstance(id, str) and len(id) <= 64 for id in ids)


def test_a_missing_or_read_only_copy_is_one_sentence(course, mine):
    path = change(mine, LESSON, answer)
    publish(course)
    path.chmod(stat.S_IRUSR)
    held = path.read_bytes()
    with pytest.raises(PermissionError, match="is read-only; nothing was changed"):
        update(LESSON, mine)
    assert path.read_bytes() == held
    path.unlink()
    with pytest.raises(FileNotFoundError, match="nnopt lab copies it there"):
        update(LESSON, mine)
    with pytest.raises(FileNotFoundError, match="has no notebook"):
        update("05_nothing", mine)


def test_a_link_stays_a_link(course, mine, tmp_path):
    path, real = change(mine, LESSON, answer), tmp_path / "real.ipynb"
    os.replace(path, real)
    path.symlink_to(real)
    publish(course)
    update(LESSON, mine)
    assert path.is_symlink() and "A new remark." in sources(real)


@pytest.mark.parametrize("moment", ["copy2", "write"])
def test_an_interrupted_update_leaves_the_copy_as_it_was(course, mine, monkeypatch, moment):
    path = change(mine, LESSON, answer)
    publish(course)
    held = path.read_bytes()
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        place = module.shutil if moment == "copy2" else module
        name = "copy2" if moment == "copy2" else "write_atomically"
        patch.setattr(place, name, mock.Mock(side_effect=KeyboardInterrupt))
        update(LESSON, mine)
    assert path.read_bytes() == held
    assert update(LESSON, mine).merged.answers == 1


def test_half_a_character_is_kept(course, mine):
    def odd(content):
        answer(content)
        content["cells"][2]["source"] = "\ud83d half"

    path = mine / f"{LESSON}.ipynb"
    content = json.loads(path.read_text(encoding="utf-8"))
    odd(content)
    path.write_text(json.dumps(content), encoding="utf-8")
    publish(course)
    update(LESSON, mine)
    assert "\ud83d half" in "".join(sources(path))


def test_a_notebook_that_is_open_in_jupyterlab_is_left_alone(course, mine, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr(workspace_module, "root", lambda: course)
    path = change(mine, LESSON, answer)
    publish(course)
    server = {"url": "http://127.0.0.1:1/", "token": "t", "root_dir": str(mine)}
    monkeypatch.setattr("jupyter_server.serverapp.list_running_servers", lambda: [server])
    told = mock.MagicMock()
    told.__enter__.return_value.read.return_value = json.dumps([{"path": f"{LESSON}.ipynb"}])
    asked = mock.Mock(return_value=told)
    held = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(module.urllib.request, "urlopen", asked)
        with pytest.raises(ValueError, match="is open in JupyterLab: save it"):
            update(LESSON, mine)
        assert asked.call_args[0][0].full_url.startswith(server["url"]) and path.read_bytes() == held
        told.__enter__.return_value.read.return_value = json.dumps([{"path": f"{OTHER}.ipynb"}])
        assert update(LESSON, mine, dry_run=True) is not None
    assert update(LESSON, mine) is not None, "a server that does not answer is gone"
