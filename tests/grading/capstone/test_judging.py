"""The capstone's judge: honest files are measured, all others get a sentence."""

import re
import shutil
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
    assert "more memory than it may have" in found["greedy"].refused
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
    (tmp_path / "honest.onnx").write_bytes(linear(2.0, y=("N", "classes")))
    again = judged([tmp_path / "honest.onnx"], board=found)
    assert [entry.name for entry in again.entries] == [entry.name for entry in found.entries]  # judged anew
    assert again.entries[-1].bytes != found.entries[-1].bytes


def test_no_file_can_know_which_pictures_are_timed(few, tmp_path, monkeypatch):
    (tmp_path / "honest.onnx").write_bytes(linear())
    orders, pack = [], codec.pack

    def noting(job, cases):
        if job["name"] == "measure":  # the other job is the probe's
            orders.append(cases[0][2])
        return pack(job, cases)

    monkeypatch.setattr(codec, "pack", noting)
    found = judged([tmp_path / "honest.onnx"])
    assert not torch.equal(orders[0], orders[1]) and not torch.equal(orders[0], few.test.images)
    x = classifier.to_input(few.test.images, few.mean[0], few.std[0])
    said = classifier.answers(classifier.open_session(linear()), x).argmax(1)
    assert torch.equal(found["honest"].correct, said == few.test.labels)


def test_the_reply_of_a_worker_under_attack_is_not_believed(few):
    logits = torch.zeros(600, 10)
    for told in (
        ("measured", logits[:5], [[1.0, 1.0]] * 6, [[1.0, 1.0]] * 6),
        ("measured", logits.long(), [[1.0, 1.0]] * 6, [[1.0, 1.0]] * 6),
        ("measured", logits, [[1.0, -1.0]] * 6, [[1.0, 1.0]] * 6),
        ("measured", logits, [[1.0, float("nan")]] * 6, [[1.0, 1.0]] * 6),
        ("measured", logits, [[1.0, 1.0]] * 5, [[1.0, 1.0]] * 6),
        ("measured", logits, [["a", 1.0]] * 6, [[1.0, 1.0]] * 6),
        ("measured", logits),
        (),
        5,
        None,
    ):
        reply = codec.pack({"outcomes": [{}]}, [[told, []]])
        with pytest.raises((ValueError, TypeError, IndexError)):
            judging._read(JobResult("replied", reply), 600)
    reply = codec.pack({"outcomes": [{}]}, [[("refused", "\x1b[31mred\n"), []]])
    assert judging._read(JobResult("replied", reply), 600)[0] == "�[31mred�"


def test_paths_and_rounds_are_checked():
    with pytest.raises(ValueError, match=r"nowhere\.onnx is not a file"):
        judge(["nowhere.onnx"])
    with pytest.raises(ValueError, match="rounds=5 must be at least 6"):
        judge(rounds=5)
