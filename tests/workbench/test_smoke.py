"""Smoke mode does less, and gives results of the same shape."""

import dataclasses

import pytest
import torch

from nnopt_lab.techniques import distillation
from nnopt_lab.techniques.deployment import compiler
from nnopt_lab.techniques.parallelism import launching
from nnopt_lab.techniques.training import linear_svm, noise_scale
from nnopt_lab.workbench import data, measure, models, smoke, training
from nnopt_lab.workbench.shapes import draw_shapes


@pytest.fixture
def smoky(monkeypatch):
    monkeypatch.setenv("NNOPT_SMOKE", "1")


@pytest.fixture(scope="module")
def pictures():
    p = data.load("fashion")
    return dataclasses.replace(p, train=p.train[:300], validation=p.validation[:100], test=p.test[:100])


@pytest.mark.parametrize("value", [None, "", "0"])
def test_outside_smoke_mode_everything_comes_back_as_it_is(value, monkeypatch):
    monkeypatch.delenv("NNOPT_SMOKE", raising=False) if value is None else monkeypatch.setenv("NNOPT_SMOKE", value)
    rows, batches = torch.arange(100), [(torch.zeros(64), torch.zeros(64))] * 5
    assert not smoke.on()
    assert smoke.cap(300, 2) == 300
    assert smoke.few(rows) is rows
    assert list(smoke.few_batches(batches)) == batches
    assert smoke.repeat_rows(rows, 100) is rows


def test_in_smoke_mode_a_little_remains(smoky):
    assert (smoke.cap(300, 2), smoke.cap(1, 2), smoke.cap(0.3, 0.01)) == (2, 1, 0.01)
    assert smoke.few(torch.arange(100), 3).tolist() == [0, 1, 2]
    batches = [(torch.zeros(64, 3), (torch.ones(64), torch.ones(64, 10)))] * 5
    seen = list(smoke.few_batches(batches))
    assert [len(x) for x, _ in seen] == [32, 32]
    assert [t.shape for t in seen[0][1]] == [(32,), (32, 10)]


def test_rows_are_repeated_to_their_full_length():
    rows = torch.tensor([[1, 2], [3, 4]])
    assert smoke.repeat_rows(rows, 5).tolist() == [[1, 2], [3, 4], [1, 2], [3, 4], [1, 2]]
    assert smoke.repeat_rows(rows[:, 0], 1).tolist() == [1]


def test_a_network_meets_few_pictures_and_its_history_is_whole(smoky, pictures):
    met = []
    model = models.MyNet()
    model.register_forward_pre_hook(lambda _, inputs: met.append(len(inputs[0])))
    history = training.fit(model, pictures, epochs=3, batch_size=100)
    assert met == 3 * [32, 32, 32]  # two steps, and the validation
    assert len(history.train_loss) == len(history.validation_accuracy) == 3
    seen = training.evaluate(model, pictures.test, pictures)
    assert seen.correct.shape == (100,) and 0 <= seen.accuracy <= 100


def test_what_is_timed_is_called_once(smoky):
    calls = []
    timings = measure.latency({"a": calls.append, "b": calls.append}, torch.zeros(256, 3), rounds=60)
    assert len(calls) == 2
    assert [(len(t.samples), t.batch_size) for t in timings.values()] == [(6, 256)] * 2
    assert measure.ratio(*timings.values()).median > 0


def test_results_keep_their_lengths(smoky, pictures, tmp_path):
    images, labels = draw_shapes(1_000)
    assert (images.shape, labels.shape) == ((1_000, 3, 32, 32), (1_000,))
    assert torch.equal(images[:200], images[200:400])
    assert distillation.cached_logits(models.MyNet(), pictures.train, pictures, tmp_path).shape == (300, 10)
    way = linear_svm.pegasos_svm(torch.randn(20, 3), torch.ones(20), 0.1, 120)
    assert way.shape == (120, 3)


def test_nothing_is_compiled_and_no_process_is_started(smoky):
    with pytest.raises(compiler.EngineUnavailable, match="Smoke mode compiles nothing"):
        compiler.require_compiler()
    with pytest.raises(RuntimeError, match="smoke mode starts no processes"):
        launching.launch("pictures.pt", "equal")


def test_only_the_noise_scale_of_many_parameters_is_measured_with_less(smoky):
    asked = []

    def gradient(positions):
        asked.append(len(positions))
        return torch.zeros(parameters)

    for parameters, most in ((2, 4_000), (100_000, 40)):
        asked.clear()
        noise_scale.measured(gradient, 100, small=16, parts=10, draws=20)
        assert (len(asked) > 200) == (parameters == 2) and sum(asked) <= most


def test_a_teacher_answers_for_a_thousand_pictures_at_most(smoky, tmp_path):
    images, labels = torch.zeros(1_500, 3, 32, 32, dtype=torch.uint8), torch.zeros(1_500, dtype=torch.int64)
    answered = []
    teacher = models.MyNet()
    teacher.register_forward_hook(lambda _, inputs, output: answered.append(len(output)))
    few = data.Split(images, labels)
    pictures = data.load("fashion")
    assert distillation.cached_logits(teacher, few, pictures, tmp_path).shape == (1_500, 10)
    assert sum(answered) == 1_000
