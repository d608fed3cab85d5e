"""Lesson 09: its exercises against scipy and torch's own, its playground, its recordings."""

import numpy as np
import pytest
import torch
from scipy import special, stats
from torch.nn import functional as F

from nnopt_lab.course.checking import examine
from nnopt_lab.course.exercises import exercises
from nnopt_lab.course.goals import forget_goals
from nnopt_lab.course.recordings import recorded
from nnopt_lab.lessons.distillation.experiments import COMPRESSED_WAYS, SEEDS, STUDENTS, TEACHERS, TEMPERATURES
from nnopt_lab.lessons.distillation.playground import _better_than_the_teacher, _outvoted, distillation_playground
from nnopt_lab.workbench import data, measure, models
from tests.lessons.playgrounds import bars, goals, shown, ticks


def kl_div(student, teacher, temperature):
    log_q, log_p = (F.log_softmax(logits / temperature, dim=1) for logits in (student, teacher))
    return temperature**2 * F.kl_div(log_q, log_p, reduction="batchmean", log_target=True)


def true_and_others(logits, labels):
    true = torch.distributions.Categorical(logits=logits).log_prob(labels).exp()
    others = logits.masked_fill(F.one_hot(labels, logits.shape[1]).bool(), -torch.inf)
    return true, others.softmax(1)


def attention(features):
    flat = np.einsum("nchw,nchw->nhw", features, features).reshape(len(features), -1)
    return torch.from_numpy(flat / np.linalg.norm(flat, axis=1, keepdims=True))


def paired_t_tests(alone, methods):
    intervals = [stats.ttest_rel(method, alone).confidence_interval(0.95) for method in methods]
    return ["gain" if low > 0 else "loss" if high < 0 else "not shown" for low, high in intervals]


COUNTERPARTS = {
    "distillation.soft_targets": lambda z, t: torch.from_numpy(special.softmax(z.numpy() / t, axis=1)),
    "distillation.soft_loss": kl_div,
    "distillation.decoupled": true_and_others,
    "distillation.attention_map": attention,
    "distillation.verdicts": paired_t_tests,
}


@pytest.mark.parametrize("id", COUNTERPARTS)
def test_an_answer_made_with_other_libraries_passes(id):
    verdict = examine(exercises()[id], COUNTERPARTS[id], seeds=range(300))
    assert verdict.passed, verdict


@pytest.fixture(scope="module")
def shapes():
    """The shapes, the playground with the shipped networks, and their answers, by the teacher's doubt."""
    pictures, networks = data.load("shapes"), (models.trained("shapes_teacher"), models.trained("shapes_student"))
    return pictures, distillation_playground(*networks, pictures), _by_doubt(networks, pictures)


def _by_doubt(networks, pictures):
    """Some validation pictures, and each network's logits, sorted by the entropy of the first network's output."""
    some = pictures.validation[:200]
    with measure.inference(*networks):
        logits = [net(pictures.to_input(some.images)) for net in networks]
    order = np.argsort(-stats.entropy(logits[0].double().softmax(1).numpy(), axis=1), kind="stable")
    return some[order], *(of[order] for of in logits)


@pytest.mark.parametrize("temperature", [0.5, 4, 32])
@pytest.mark.parametrize("share", [0, 0.5, 1])
def test_the_playground_shows_the_mixture_and_the_students_answer(shapes, temperature, share):
    pictures, playground, (some, teacher, student) = shapes
    text, (picture, chart) = shown(playground, picture=17, temperature_T=temperature, **{"share_α": share})
    label, image, teacher, student = some.labels[17], some.images[17], teacher[17], student[17]
    target = share * torch.softmax(teacher / temperature, 0) + (1 - share) * F.one_hot(label, 10)
    for name, shares in (
        ("target", target),
        ("the student's output at T", torch.softmax(student / temperature, 0)),
    ):
        heights = [bar.get_height() for bar in bars(chart, name)]
        np.testing.assert_allclose(heights, shares, atol=1e-4)  # another batch rounds otherwise
    assert [tick.get_text() for tick in chart.get_xticklabels()] == list(pictures.classes)
    assert np.array_equal(picture.images[0].get_array(), image.permute(1, 2, 0).numpy())
    assert picture.get_title().lower() == pictures.classes[label].lower()
    bits, percent = (float(part.split("</b>")[0].split()[0]) for part in text.split("<b>")[1:])
    assert bits == pytest.approx(stats.entropy(target, base=2), abs=0.006)
    assert percent == pytest.approx(100 * target[label].item(), abs=0.06)


def test_the_playgrounds_goals_are_reached_with_the_shipped_networks(shapes):
    _, playground, _ = shapes
    certain, doubtful = 199, range(4)
    shown(playground, picture=certain, temperature_T=1, **{"share_α": 0.95})
    forget_goals()
    playground.redraw()
    assert ticks(playground) == [False, False, False]  # the label helps
    shown(playground, **{"share_α": 1.0})
    assert ticks(playground) == [True, False, False] and goals(playground)[0][1].startswith("Picture 199:")
    for picture in doubtful:
        shown(playground, picture=picture)
    assert ticks(playground) == [True, True, False]
    for picture in doubtful:
        shown(playground, picture=picture, temperature_T=8, **{"share_α": 0.85})
    assert not ticks(playground)[2]
    for picture in doubtful:
        shown(playground, picture=picture, **{"share_α": 0.9})
    assert ticks(playground)[2] and goals(playground)[2][1].startswith("At T = 8, 10 % of the weight is enough")


def test_a_teacher_without_mistakes_gets_no_help_from_the_label():
    label, right = 1, torch.tensor([0.1, 0.8, 0.1])
    wrong, mended = torch.tensor([0.5, 0.4, 0.1]), torch.tensor([0.45, 0.46, 0.09])
    assert not _outvoted(label, 4, 0.9, right, right) and not _outvoted(label, 4, 0.9, wrong, wrong)
    assert _outvoted(label, 4, 0.9, wrong, mended) and not _outvoted(label, 4, 0.85, wrong, mended)
    assert _better_than_the_teacher(label, wrong, right, ["a", "b", "c"])
    assert not _better_than_the_teacher(label, wrong, wrong, ["a", "b", "c"])
    assert not _better_than_the_teacher(label, right, right, ["a", "b", "c"])


def test_the_playground_draws_grey_pictures_too():
    pictures = data.load("fashion")
    networks = models.trained("teacher"), models.trained("mynet")
    some, *_ = _by_doubt(networks, pictures)
    _, axes = shown(distillation_playground(*networks, pictures), picture=3)
    assert np.array_equal(axes[0].images[0].get_array(), some.images[3, 0].numpy())


def test_the_shipped_distillation_experiments_have_the_shape_that_they_promise():
    def table(name):
        return recorded(f"distillation_{name}")["result"]

    compressed = table("compressed")["accuracy"]
    per_seed = [
        *table("methods")["accuracy"].values(),
        *table("pictures")["accuracy"].values(),
        *table("fashion")["accuracy"].values(),
        *table("temperatures")["accuracy"],
        *(values for ways in table("sizes")["accuracy"].values() for values in ways.values()),
        *(values for ways in compressed.values() for values in ways.values()),
    ]
    assert all(len(values) == len(SEEDS) for values in per_seed)
    assert all(10 < accuracy <= 100 for values in per_seed for accuracy in values)
    assert table("temperatures")["temperatures"] == list(TEMPERATURES)
    assert {name: list(ways) for name, ways in table("sizes")["accuracy"].items()} == {
        name: ["labels", *TEACHERS] for name in STUDENTS
    }
    assert all(list(ways) == list(COMPRESSED_WAYS) for ways in compressed.values())
    assert table("pictures")["accuracy"]["drawn, teacher"][0] == models.record("shapes_student")["test_accuracy"]
