"""Lesson 15: its exercises against onnx and numpy, the course's own entries, and how they are written as files."""

import json

import ml_dtypes
import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, numpy_helper
from scipy import stats
from torch import nn

from nnopt_lab.course.checking import examine
from nnopt_lab.course.exercises import exercises
from nnopt_lab.grading.capstone import FLOOR
from nnopt_lab.grading.sandboxed import classifier
from nnopt_lab.lessons.capstone import way
from nnopt_lab.lessons.capstone.entries import ENTRIES
from nnopt_lab.lessons.capstone.onnx_files import Grey, write_onnx
from nnopt_lab.workbench import data, measure, models
from nnopt_lab.workbench.paths import data_dir

TYPES = {4: ml_dtypes.int4, 8: np.int8, 32: np.float32}


def stored(values):
    """The bytes of a tensor in an ONNX file."""
    return numpy_helper.from_array(values).raw_data


def lower_end(gained, lost, count):
    changes = np.repeat([1, -1, 0], [gained, lost, count - gained - lost])
    return 100 * float(changes.mean() + stats.norm.ppf(0.025) * changes.std() / np.sqrt(count))


COUNTERPARTS = {
    "capstone.file_bytes": lambda shapes, bits: sum(
        len(stored(np.zeros(shape, TYPES[width]))) for shape, width in zip(shapes, bits, strict=True)
    ),
    "capstone.in_pairs": lambda values: torch.tensor(list(stored(values.numpy().astype(ml_dtypes.int4)))),
    "capstone.least_change": lower_end,
    "capstone.points": lambda values, naive, best: [
        float(earned) for earned in 10 * np.interp(*logs(values, naive, best))
    ],
}


def logs(values, naive, best):
    """Arguments of np.interp, whose places must ascend."""
    sign = 1 if best > naive else -1
    return sign * np.log(values), sign * np.log([naive, best]), [0, 1]


@pytest.mark.parametrize("id", COUNTERPARTS)
def test_an_answer_made_with_other_libraries_passes(id):
    verdict = examine(exercises()[id], COUNTERPARTS[id], seeds=range(1000))
    assert verdict.passed, verdict


@pytest.fixture(scope="module")
def right():
    """Name of each of our entries, and of the baseline → which test pictures it gets right."""
    pictures = data.load("fashion")
    x = classifier.to_input(pictures.test.images, pictures.mean[0], pictures.std[0])

    def answers(file):
        return classifier.answers(classifier.open_session(file.read_bytes()), x) == pictures.test.labels

    found = {path.stem: answers(path) for path in (data_dir() / "capstone").glob("*.onnx")}
    with torch.inference_mode():
        return found | {"baseline": models.trained("mynet")(x).argmax(1) == pictures.test.labels}


@pytest.mark.parametrize("name", ENTRIES)
def test_our_entries_are_what_their_records_say(name, right):
    path = data_dir() / "capstone" / f"{name.removeprefix('capstone_')}.onnx"
    record = json.loads(path.with_suffix(".json").read_text("utf-8"))
    assert record["bytes"] == path.stat().st_size and record["command"] == f"nnopt train {name} --seed 0"
    accuracy = 100 * right[path.stem].double().mean().item()
    assert abs(accuracy - record["test_accuracy"]) < 0.1  # another engine rounds otherwise
    assert record["test_accuracy"] >= FLOOR


@pytest.mark.parametrize("name", ["accurate", "fast", "fastest"])
def test_a_loss_of_half_a_point_is_excluded(name, right):
    assert measure.proportion_difference(right["baseline"], right[name]).low > -0.5


def test_each_of_our_entries_has_a_file_and_each_file_a_command():
    names = {path.stem for path in (data_dir() / "capstone").glob("*.onnx")}
    assert names == {name.removeprefix("capstone_") for name in ENTRIES}


class TestFiles:
    """`write_onnx` against the model itself."""

    def test_each_layer_says_what_torch_says(self, tmp_path):
        torch.manual_seed(0)
        model = nn.Sequential(
            Grey(),
            *(nn.Conv2d(1, 6, 5, 2, 2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 6, 3, 1, 1, groups=6, bias=False)),
            *(nn.Identity(), nn.Conv2d(6, 7, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(7, 10)),
        )
        self.same(model, tmp_path / "model.onnx")
        self.same(models.MyNet(), tmp_path / "mynet.onnx")

    def test_weights_on_a_grid_are_stored_as_whole_numbers(self, tmp_path):
        from nnopt_lab.techniques.quantization import qat

        torch.manual_seed(0)
        model = nn.Sequential(Grey(), nn.Conv2d(1, 15, 3), nn.ReLU(), nn.Flatten(), nn.Linear(15 * 900, 10))
        qat.prepare(model, torch.randn(2, 3, 32, 32), 4, None, ends=None)
        qat.make_permanent(model)
        path = self.same(model, tmp_path / "int4.onnx")
        weights = 135 + 135_000
        assert path.stat().st_size < weights / 2 + 700
        kinds = [tensor.data_type for tensor in onnx.load(path).graph.initializer]
        assert kinds.count(TensorProto.INT4) == 2

    def test_another_layer_is_refused(self, tmp_path):
        with pytest.raises(ValueError, match=r"BatchNorm2d.* that `write_onnx` does not write"):
            write_onnx(nn.Sequential(nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(3072, 10)), tmp_path / "x.onnx")

    def same(self, model, path):
        x = torch.randn(5, 3, 32, 32)
        session = classifier.open_session(write_onnx(model, path).read_bytes())
        onnx.checker.check_model(onnx.load(path), full_check=True)
        with torch.no_grad():
            torch.testing.assert_close(classifier.run(session, x), model.eval()(x), rtol=1e-4, atol=1e-4)
        return path


class TestWay:
    """The steps that the lesson leaves blank."""

    def test_ours_stand_in_for_blanks_alone(self, capsys):
        def fold(model):
            return model

        assert way.filled(fold, None, None) == (fold, *list(way.OURS.values())[1:])
        assert "blank: method, settle." in capsys.readouterr().out
        assert way.filled(fold, "min-max", fold) == (fold, "min-max", fold)
        assert not capsys.readouterr().out

    @pytest.mark.parametrize(("name", "value"), [("fold", "lsq"), ("settle", 3), ("method", "LSQ"), ("method", 4)])
    def test_a_step_of_the_wrong_kind_is_named(self, name, value):
        with pytest.raises(ValueError, match=f"{name}={value!r} must be "):
            way.filled(**{"fold": None, "method": None, "settle": None} | {name: value})
