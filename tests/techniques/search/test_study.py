"""A study's storage: where networks stand beside it, and what makes two searches different."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from nnopt_lab.techniques.search import candidates
from nnopt_lab.techniques.search.points import Goal
from nnopt_lab.techniques.search.study import StoredStudy, fingerprint, networks_folder, open_study
from tests.techniques.search.small_search import build, run, searcher


@pytest.mark.parametrize(
    ("storage", "folder"),
    [
        (None, None),
        ("search.db", Path("search.db.networks")),
        (Path("a", "search.db"), Path("a", "search.db.networks")),
        ("sqlite:///a/search.db", Path("a", "search.db.networks")),
        ("postgresql://host/search", None),
    ],
)
def test_networks_stand_beside_a_file(storage, folder):
    assert networks_folder(storage) == folder


def test_a_fingerprint_tells_searches_apart(task):
    fewer = replace(task.pictures, train=task.pictures.train[:-1])
    others = [replace(task, model=build(seed=3)), replace(task, pictures=fewer), replace(task, epochs=3)]
    others += [replace(task, device=torch.device(kind, 0)) for kind in ("cuda", "mps")]
    digits = [fingerprint(other, Goal()) for other in (task, *others)] + [fingerprint(task, Goal("bytes"))]
    assert len(set(digits)) == len(digits) and fingerprint(task, Goal()) == digits[0]


def test_gpus_of_one_kind_share_a_search(task):
    first, second = (replace(task, device=torch.device("cuda", index)) for index in (0, 1))
    assert fingerprint(first, Goal()) == fingerprint(second, Goal())


def test_code_counts_as_weights_do(task):
    def scaled(images):
        return images * 2

    wider = build()
    wider[2] = nn.LeakyReLU()
    strided = build()
    strided[4].stride = (2, 2)
    others = [
        replace(task, pictures=replace(task.pictures, to_input=scaled)),
        replace(task, pictures=replace(task.pictures, to_input=scaled.__get__(1))),
        replace(task, model=build()),
        replace(task, model=wider),
        replace(task, model=strided),
        replace(task, model=build().double()),
    ]
    digits = [fingerprint(other, Goal()) for other in (task, *others)]
    assert len(set(digits)) == len(digits)
    brighter = task.pictures.train.images + 1
    pictures = replace(task.pictures, train=replace(task.pictures.train, images=brighter))
    assert fingerprint(replace(task, pictures=pictures), Goal()) != digits[0]


@pytest.mark.parametrize("name", ["what?.db", "100%.db", "a%20b.db", "a#b.db", "{a}.db", "a b&c=d.db", "größe.db"])
def test_a_file_has_the_name_that_was_given(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    open_study(name, "random", 0).set_user_attr("is", "here")
    assert open_study(tmp_path / name, "random", 0).user_attrs == {"is": "here"}
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    ("storage", "sentence"),
    [
        ("none/search.db", "storage='none/search.db': its folder 'none' is missing; make it first."),
        (
            "sqlite:///none/search.db",
            "storage='sqlite:///none/search.db' cannot be used (unable to open database file).",
        ),
        ("damaged.db", "storage='damaged.db' cannot be used (file is not a database)."),
        ("locked.db", "storage='locked.db' cannot be used (database is locked)."),
        ("folder", "storage='folder' must be a file, but is a folder."),
        ("abacus://host/name", "storage='abacus://host/name' cannot be used ("),
        ("://", "storage='://' cannot be used ("),
    ],
)
def test_what_cannot_be_used_is_said_in_a_sentence(storage, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Path("damaged.db").write_bytes(b"damaged " * 1000)
    with closing(sqlite3.connect("locked.db")) as other:
        other.execute("create table mine (number)")
        other.execute("begin exclusive")
        with pytest.raises(ValueError) as error:
            open_study(storage, "random", 0)
    assert str(error.value).startswith(sentence) and "\n" not in str(error.value)


def test_only_the_storage_s_own_errors_are_its_fault(tmp_path):
    study = StoredStudy(tmp_path / "search.db", "random", 0)
    assert study.agreed("task") is None and study.agree("task", "a") == "a" and study.agree("task", "b") == "a"
    Path(tmp_path, "search.db").write_bytes(b"damaged " * 1000)
    for access in (study.trials, lambda: study.agree("x", 1), lambda: study.ask({}), lambda: study.schedule({})):
        with pytest.raises(ValueError, match=r"search.db' cannot be used \(file is not a database\)"):
            access()


def test_an_error_of_the_data_s_own_database_is_no_storage_error(task, tmp_path, monkeypatch):
    def failing(*_):
        raise sqlite3.OperationalError("no such table: pictures")

    monkeypatch.setattr(candidates, "make", failing)
    with pytest.raises(ValueError, match=r"No trial succeeded; .*OperationalError: no such table: pictures"):
        run(searcher(task, Goal("bytes"), tmp_path / "search.db"), 1)


def test_a_storage_of_an_earlier_version_is_another_search(task, tmp_path):
    open_study(tmp_path / "search.db", "random", 0).set_user_attr("task", "0123456789abcdef")
    with pytest.raises(ValueError, match=r"contains a search .* or one of an earlier version of this package; give"):
        searcher(task, Goal("bytes"), tmp_path / "search.db")


def test_processes_that_start_at_the_same_moment_share_a_new_storage(tmp_path):
    code = (
        "import sys, pathlib, optuna, sqlalchemy, time; from nnopt_lab.techniques.search.study import open_study;"
        "here = pathlib.Path(sys.argv[1]); (here / sys.argv[2]).touch()\n"
        "while len(list(here.glob('[0-3]'))) < 4: time.sleep(0.001)\n"
        "open_study(here / 'search.db', 'random', 0)"
    )
    together = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path), str(i)]) for i in range(4)]
    assert [process.wait(timeout=120) for process in together] == [0] * 4


def test_limits_are_no_part_of_a_fingerprint_but_engines_are(task):
    assert fingerprint(task, Goal()) == fingerprint(task, Goal(max_drop=9.0, max_bytes=5, max_latency=1.0))
    digits = {fingerprint(task, goal, names) for goal in (Goal(), Goal(batch=2)) for names in ((), ("bf16",))}
    assert len(digits) == 4
