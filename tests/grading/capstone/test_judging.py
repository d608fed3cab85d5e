"""The capstone's judge: honest files are measured, all others get a sentence."""

import os
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from nnopt_lab.grading import sandbox
from nnopt_lab.grading.capstone import DIVISIONS, Leaderboard, judge, judging
from nnopt_lab.grading.sandbox import JobResult, Limits, SandboxError
from nnopt_lab.grading.sandboxed import classifier, codec
from nnopt_lab.workbench import data, models
from tests.grading.capstone.onnx_bytes import HOSTILE, endless, linear
from tests.grading.classroom import linux, once_per_run

LIMITS, SHORT = Limits(seconds=60, megabytes=700), Limits(seconds=3, megabytes=700)


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """The judge with 600 test pictures."""
    whole = data.load("fashion")
    short = data.Pictures("fashion", whole.train, whole.validation, whole.test[:600], whole.classes, (0.286,), (0.353,))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judging, "data", SimpleNamespace(load=lambda name: short))
        yield short


def judged(paths, **options):
    return judge(
        paths, **{"ours": False, "isolation": "own files", "limits": LIMITS, "rounds": 6, "seconds": 0.1} | options
    )


@pytest.fixture(scope="module")
def board(few, tmp_path_factory):
    folder = tmp_path_factory.mktemp("handed in")
    for name, (raw, _) in HOSTILE.items():
        (folder / f"{name}.onnx").write_bytes(raw)
    (folder / "honest.onnx").write_bytes(linear())
    files = [folder / f"{name}.onnx" for name in [*HOSTILE, "honest"]]
    return once_per_run(tmp_path_factory, "board", lambda: judged(files))


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_classifier_gets_its_sentence(board, name):
    entry, (raw, wanted) = board[name], HOSTILE[name]
    assert entry.bytes == len(raw)
    assert re.search(wanted, entry.refused), entry.refused
    assert entry.refused.endswith(".") and "\n" not in entry.refused
    assert all(board.points(name, division) == 0 for division in DIVISIONS)


def test_after_all_of_them_an_honest_file_is_still_judged(board):
    honest, baseline = board["honest"], board.baseline
    assert honest.refused == baseline.refused == ""
    assert len(honest.correct) == 600 and 2 < honest.accuracy < 30
    assert set(honest.timings) == {1, 256}
    assert "only ONNX's own operators" in repr(board) and "<table" in board._repr_html_()


def test_accuracy_and_input_are_the_courses_own(board, few):
    x = classifier.to_input(few.test.images, few.mean[0], few.std[0])
    assert torch.equal(x, few.to_input(few.test.images))
    model = models.trained("mynet")
    with torch.no_grad():
        right = model(x).argmax(1) == few.test.labels
    assert (right == board.baseline.correct).float().mean() > 0.998  # another engine rounds differently


@linux
@pytest.mark.parametrize("kind", ["bubblewrap", "unshare", "none"])
def test_each_kind_of_isolation_holds_the_limits(board, tmp_path, kind):
    if not shutil.which({"bubblewrap": "bwrap"}.get(kind, "unshare")):
        pytest.skip(f"{kind} is not installed")
    raws = {"endless": endless(), "greedy": HOSTILE["greedy"][0], "garbage": b"garbage"}
    for name, raw in raws.items():
        (tmp_path / f"{name}.onnx").write_bytes(raw)
    only = Leaderboard(board.entries[:1])
    found = judged([tmp_path / f"{name}.onnx" for name in raws], board=only, isolation=kind, limits=SHORT)
    assert [entry.name for entry in found.entries] == ["baseline", *raws]
    assert re.search("did not end within 3 s|processor time", found["endless"].refused)
    assert "needs more memory than allowed" in found["greedy"].refused
    assert "not an ONNX file" in found["garbage"].refused


def test_without_a_sandbox_strangers_files_are_not_judged_and_own_ones_are(board, tmp_path, monkeypatch):
    def none(wanted):
        raise SandboxError("There is no sandbox.")

    monkeypatch.setattr(sandbox, "available", none)
    (tmp_path / "honest.onnx").write_bytes(linear())
    with pytest.raises(SandboxError):
        judged([tmp_path / "honest.onnx"], isolation="auto")
    found = judged([tmp_path / "honest.onnx"], board=board)
    assert found.entries[-1].name == f"{tmp_path.name}/honest" and found.entries[-1].refused == ""
    assert torch.equal(found.entries[-1].correct, board["honest"].correct)
    (tmp_path / "honest.onnx").write_bytes(b"garbage")
    again = judged([tmp_path / "honest.onnx"], board=found)
    assert [entry.name for entry in again.entries] == [entry.name for entry in found.entries]  # judged anew
    assert again.entries[-1].bytes != found.entries[-1].bytes


def test_no_file_can_know_which_pictures_are_timed(few, tmp_path, monkeypatch):
    (tmp_path / "honest.onnx").write_bytes(linear())
    orders, pack = [], codec.pack

    def noting(job, cases):
        if job["name"] == "measure":
            orders.append(cases[0][2])
        return pack(job, cases)

    monkeypatch.setattr(codec, "pack", noting)
    found = judged([tmp_path / "honest.onnx"])
    assert not torch.equal(orders[0], orders[1]) and not torch.equal(orders[0], few.test.images[:256])
    x = classifier.to_input(few.test.images, few.mean[0], few.std[0])
    said = classifier.answers(classifier.open_session(linear()), x)
    assert torch.equal(found["honest"].correct, said == few.test.labels)


GOOD = [[1.0, 1.0]] * 6


class Replying:
    """A worker under attack: it replies the same to every job."""

    def __init__(self, told):
        self.told = told

    def run(self, job) -> JobResult:
        return JobResult("replied", codec.pack({"outcomes": [{}]}, [[self.told, []]]))


def bench(told, pictures):
    return judging._Bench(torch.zeros(1), torch.zeros(1), pictures, Replying(told))


@pytest.mark.parametrize(
    "told",
    [
        ("done", torch.zeros(5, dtype=torch.uint8)),
        ("done", torch.zeros(600)),
        ("done", torch.zeros(600, 10)),
        ("done", [0] * 600),
        ("done",),
        ("done", torch.zeros(600, dtype=torch.uint8), 1),
        ("refused", 5),
        (),
        5,
        None,
    ],
)
def test_the_classes_of_a_worker_under_attack_are_not_believed(few, told):
    with pytest.raises(judging._Refused, match="reply is invalid"):
        bench(told, few).classes(few.test.images)


@pytest.mark.parametrize(
    "told",
    [
        ("done", [[1.0, -1.0]] * 6, GOOD),
        ("done", [[1.0, float("nan")]] * 6, GOOD),
        ("done", [[1.0, 1.0]] * 5, GOOD),
        ("done", [["a", 1.0]] * 6, GOOD),
        ("done", [1.0] * 6, GOOD),
        ("done", None, GOOD),
        ("done", GOOD),
        ("done",),
        5,
    ],
)
def test_the_timings_of_a_worker_under_attack_are_not_believed(few, told):
    with pytest.raises(judging._Refused, match="reply is invalid"):
        bench(told, few).timings(6, 0.1)


def test_what_a_worker_says_cannot_command_a_terminal(few):
    with pytest.raises(judging._Refused, match=r"^�\[31mred�$"):
        bench(("refused", "\x1b[31mred\n"), few).timings(6, 0.1)


def test_each_odd_file_gets_one_sentence(few, tmp_path, board):
    (tmp_path / "folder.onnx").mkdir()
    (tmp_path / "link.onnx").symlink_to("link.onnx")
    (tmp_path / "lost.onnx").symlink_to("nowhere")
    (tmp_path / "device.onnx").symlink_to("/dev/zero")
    (tmp_path / "whole.onnx").write_bytes(linear())
    (tmp_path / "good.onnx").symlink_to("whole.onnx")
    with (tmp_path / "huge.onnx").open("wb") as file:
        file.truncate(1 << 40)
    names = ["folder", "link", "lost", "device", "huge", "good"]
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.onnx")
        names.append("pipe")
    found = judged([tmp_path / f"{name}.onnx" for name in names], board=Leaderboard(board.entries[:1]))
    said = {entry.name: entry.refused for entry in found.entries}
    assert said.pop("good") == said.pop("baseline") == ""
    assert "larger than 4,194,304 bytes" in said.pop("huge")
    for sentence in said.values():
        assert sentence.startswith("It can't be read: ") and sentence.endswith(".") and "\n" not in sentence


def test_a_name_is_never_taken_for_a_row_of_the_courses(few, tmp_path, board):
    for name in ("small (ours)", "small （ours）", "small", "baseline"):
        (tmp_path / f"{name}.onnx").write_bytes(b"")
    found = judged(sorted(tmp_path.glob("*.onnx")), board=Leaderboard(board.entries[:1]))
    ours = [line for line in repr(found).splitlines() if re.search(r"[(（]ours|(^|  )baseline  ", line)]
    assert len(ours) == 3 and not any("ours" in line for line in ours)  # in two divisions and with the times


def test_paths_and_rounds_are_checked():
    with pytest.raises(ValueError, match=r"nowhere\.onnx is not a file"):
        judge(["nowhere.onnx"])
    with pytest.raises(ValueError, match=r"is not a file"):
        judge([Path(__file__) / "below.onnx"])
    with pytest.raises(ValueError, match="rounds=5 must be at least 6"):
        judge(rounds=5)


def test_in_smoke_mode_few_pictures_are_judged_and_results_keep_their_length(monkeypatch):
    monkeypatch.setattr(judging, "data", data)  # all pictures, if `few` is in force
    monkeypatch.setenv("NNOPT_SMOKE", "1")
    shown = []

    def classes(bench, images):
        shown.append(len(images))
        return torch.zeros(len(images), dtype=torch.uint8)

    monkeypatch.setattr(judging._Bench, "classes", classes)
    monkeypatch.setattr(judging._Bench, "timings", lambda *_: {})
    pictures = judging._pictures()
    assert len(pictures.test) == len(pictures.validation) == judging.SMOKE_PICTURES < 2_000
    drawn = judging.variants.draw(pictures, judging._fresh())
    path = judging.data_dir() / "capstone" / "fastest.onnx"
    entry = judging._judge_file("fastest", path, linear(), pictures, drawn, None, (6, 0.1))
    assert len(entry.correct) == 10_000 and max(shown) < 40 * judging.SMOKE_PICTURES
    monkeypatch.delenv("NNOPT_SMOKE")
    assert len(judging._pictures().test) == 10_000
