"""Files that know the test pictures by heart are refused, or count only with what they know besides."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from nnopt_lab.grading.capstone import DIVISIONS, FLOOR, judging
from nnopt_lab.grading.capstone.variants import FAR, NEAR, draw, opposites, rightness
from nnopt_lab.grading.sandboxed import classifier
from nnopt_lab.workbench import data
from nnopt_lab.workbench.paths import data_dir
from tests.grading.capstone.onnx_bytes import network, node, tensor
from tests.grading.capstone.tables import Key, corrected, table
from tests.grading.capstone.test_judging import judged
from tests.grading.classroom import once_per_run

FASTEST = data_dir() / "capstone" / "fastest.onnx"
COUNT, FEW = 2_000, 30


def least_squares(pictures, images, labels):
    """One linear layer, fitted to these pictures."""
    x = pictures.to_input(images)[:, 0].flatten(1).double()
    x = torch.cat([x, torch.ones(len(x), 1)], 1)
    fitted = torch.linalg.lstsq(x.T @ x + 1e-3 * torch.eye(x.shape[1]), x.T @ F.one_hot(labels, 10).double()).solution
    weight = torch.cat([fitted[:-1], torch.zeros(2048, 10)]).float().numpy()
    nodes = [node("Flatten", "x", "f"), node("MatMul", "f w", "m"), node("Add", "m b", "y")]
    return network(nodes, [tensor("w", weight), tensor("b", fitted[-1].float().numpy())])


@pytest.fixture(scope="module")
def pictures():
    whole = data.load("fashion")
    return data.Pictures(
        "fashion", whole.train, whole.validation, whole.test[:COUNT], whole.classes, whole.mean, whole.std
    )


@pytest.fixture(scope="module")
def board(pictures, tmp_path_factory):
    folder, raw, test = tmp_path_factory.mktemp("by heart"), FASTEST.read_bytes(), pictures.test
    x = classifier.to_input(test.images, pictures.mean[0], pictures.std[0])
    wrong = (classifier.answers(classifier.open_session(raw), x) != test.labels).nonzero().flatten()
    moved = torch.cat([test.images, *(test.images.roll(by, axis) for by in (1, -1) for axis in (2, 3))])
    files = {
        "fastest": raw,
        "honest": least_squares(pictures, pictures.train.images, pictures.train.labels),
        "table": table(pictures, test.images, test.labels),
        "moved table": table(pictures, moved, test.labels.repeat(5)),
        "coarse table": table(pictures, test.images, test.labels, Key(8, 16)),
        "corrected": corrected(pictures, raw, test.images[wrong], test.labels[wrong]),
        "coarsely corrected": corrected(pictures, raw, test.images[wrong], test.labels[wrong], Key(8, 16)),
        "a little corrected": corrected(pictures, raw, test.images[wrong[:FEW]], test.labels[wrong[:FEW]]),
        "made from the test": least_squares(pictures, test.images, test.labels),
    }
    for name, content in files.items():
        (folder / f"{name}.onnx").write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judging, "data", SimpleNamespace(load=lambda name: pictures, Pictures=data.Pictures))
        paths = [folder / f"{name}.onnx" for name in files]
        return once_per_run(tmp_path_factory, "by heart", lambda: judged(paths))


@pytest.mark.parametrize(
    "name", ["table", "moved table", "coarse table", "corrected", "coarsely corrected", "made from the test"]
)
def test_what_knows_the_test_pictures_by_heart_is_refused_in_one_sentence(board, name):
    assert board[name].refused.endswith("it has memorised the test pictures instead of learning to classify clothes.")
    assert board[name].refused.count(".") <= 4 and "\n" not in board[name].refused
    assert all(board.points(name, division) == 0 for division in DIVISIONS)


def test_a_table_of_the_whole_test_set_fits_the_smallest_division(pictures):
    test = data.load("fashion").test
    raw = table(pictures, test.images, test.labels)
    assert len(raw) < 8_000
    x = classifier.to_input(test.images[:COUNT], pictures.mean[0], pictures.std[0])
    assert torch.equal(classifier.answers(classifier.open_session(raw), x), test.labels[:COUNT].to(torch.uint8))


def test_a_few_corrections_are_seen_as_they_are_and_do_not_count(board):
    more, fastest = board["a little corrected"], board["fastest"]
    assert int(more.correct.sum()) == int(fastest.correct.sum()) + FEW
    assert more.refused == "" and more.counted == more.changed
    assert abs(more.counted - fastest.changed) < 0.3  # of 2,000 pictures, in two draws of versions


def test_honest_files_are_not_refused_and_lose_nothing_that_counts(board):
    for name in ("baseline", "fastest", "honest"):
        assert board[name].refused == ""
        assert abs(board[name].changed - board[name].accuracy) < 1
    assert "honest" in repr(board) and f"{board['honest'].changed:.2f}" in repr(board)


@pytest.mark.parametrize("seed", range(3))
def test_the_fastest_entry_of_the_course_stays_above_the_floor(seed):
    """It is 6 pictures above it: chance must not push it below."""
    pictures = data.load("fashion")
    session = classifier.open_session(FASTEST.read_bytes())

    def classes(images):
        parts = images.split(2560)
        return torch.cat(
            [
                classifier.answers(session, classifier.to_input(part, pictures.mean[0], pictures.std[0]))
                for part in parts
            ]
        )

    shown = draw(pictures, torch.Generator().manual_seed(seed))
    right = rightness(shown, classes(shown.images))
    bench = SimpleNamespace(classes=classes, pictures=pictures)
    changed = 100 * judging._Bench.changed(bench, right).mean().item()
    assert changed >= FLOOR + 0.05 and 100 * right.as_is.mean() >= FLOOR


def _column(images):
    """The column of each picture's centre of mass."""
    columns = images.double().sum((1, 2))
    return (columns * torch.arange(columns.shape[1])).sum(1) / columns.sum(1)


def test_opposite_changes_are_small_and_opposite():
    x = torch.zeros(200, 1, 28, 28, dtype=torch.uint8)
    x[:, :, 10:18, 8:20] = 200
    for pixels in (NEAR, FAR):
        one, other = opposites(x, pixels, torch.Generator().manual_seed(0))
        assert one.shape == x.shape and ((one != x).flatten(1).any(1)).all()
        shift, back = _column(one) - _column(x), _column(other) - _column(x)
        assert shift.abs().max() < 1.6 * pixels and shift.std() > pixels / 4
        assert np.corrcoef(shift, back)[0, 1] < -0.95


def test_flat_pictures_differ_by_a_grey_level_in_both_directions():
    x = torch.full((50, 1, 28, 28), 100, dtype=torch.uint8)
    one, other = (moved[:, :, 8:20, 8:20].int() for moved in opposites(x, NEAR, torch.Generator().manual_seed(0)))
    assert torch.equal(one - 100, 100 - other) and set(one.unique().tolist()) == {99, 100, 101}
