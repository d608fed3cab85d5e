"""Lesson 01: its exercises compared with torch and scipy, its playground, its recording."""

import copy

import pytest
import torch
from scipy.stats import rankdata
from torch import nn
from torch.ao.pruning import WeightNormSparsifier
from torch.nn import functional as F
from torch.nn.utils import prune

from nnopt_lab.course.checking import examine
from nnopt_lab.course.exercises import exercises
from nnopt_lab.course.goals import forget_goals
from nnopt_lab.course.recordings import recorded
from nnopt_lab.lessons.pruning.exercises import remove_filters
from nnopt_lab.lessons.pruning.experiments import SEEDS, SPARSITIES, Concatenating, layer_graph
from nnopt_lab.lessons.pruning.playground import METHODS, RANDOM, WHOLE, pruning_playground
from nnopt_lab.techniques import pruning
from nnopt_lab.workbench import data, measure, models
from tests.lessons.playgrounds import counts, goals, shown, ticks


def mask_by_torch(weight, keep):
    layer = nn.Linear(*weight.shape[::-1])
    layer.weight.data = weight
    return prune.l1_unstructured(layer, "weight", amount=weight.numel() - keep).weight_mask.bool()


def two_of_four_by_torch(weight):
    model = nn.Sequential(nn.Linear(*weight.shape[::-1]))
    model[0].weight.data = weight.clone()
    sparsifier = WeightNormSparsifier(sparsity_level=1.0, sparse_block_shape=(1, 4), zeros_per_block=2)
    sparsifier.prepare(model, [{"tensor_fqn": "0.weight"}])
    sparsifier.step()
    return model[0].parametrizations.weight[0].mask.bool()


def columns_by_flatten(kept, height, width):
    channels = int(kept.max()) + 1
    return torch.arange(channels * height * width).reshape(channels, height, width)[kept].flatten()


COUNTERPARTS = {
    "pruning.l1_importance": lambda weight: torch.linalg.vector_norm(weight.flatten(1), 1, dim=1),
    "pruning.levels": lambda scores, count: torch.tensor(
        [int(rank - 1) * count // len(scores) for rank in rankdata(scores.numpy(), "ordinal")]
    ),
    "pruning.magnitude_mask": mask_by_torch,
    "pruning.n_m_mask": two_of_four_by_torch,
    "pruning.flatten_columns": columns_by_flatten,
}


@pytest.mark.parametrize("id", COUNTERPARTS)
def test_the_reference_agrees_with_another_library(id):
    verdict = examine(exercises()[id], COUNTERPARTS[id], seeds=range(100))
    assert verdict.passed, verdict


def test_without_its_filters_a_pair_of_convolutions_computes_what_it_computes_with_a_mask():
    for seed in range(100):
        generator = torch.Generator().manual_seed(seed)
        weight1, bias1, weight2, kept = exercises()["pruning.remove_filters"].generate(generator)
        mask = torch.zeros(len(weight1)).index_fill(0, kept, 1)[:, None, None]
        x = torch.randn(1, weight1.shape[1], 2, 2)
        masked = F.conv2d(F.conv2d(x, weight1, bias1).relu() * mask, weight2)
        small1, small_bias, small2 = remove_filters(weight1, bias1, weight2, kept)
        torch.testing.assert_close(F.conv2d(F.conv2d(x, small1, small_bias).relu(), small2), masked)
        assert len(small1) == len(small_bias) == len(kept)


@pytest.fixture(scope="module")
def playground():
    return pruning_playground(models.trained("mynet"), data.load("fashion"))


@pytest.mark.parametrize("method", METHODS)
def test_the_playground_shows_the_weights_that_a_method_leaves(playground, method):
    text, (weights, mask) = shown(playground, method=method)
    dense = models.trained("mynet")
    picture = data.load("fashion").validation.images[:1]
    pruned = pruning.make_permanent(METHODS[method](copy.deepcopy(dense), 0.9, data.load("fashion").to_input(picture)))
    assert f"{measure.parameters(pruned).nonzero:,} nonzero parameters" in text
    for model, label in ((dense, "dense"), (pruned, "after pruning")):
        values = torch.cat([layer.weight.detach().flatten() for layer in pruning.prunable(model).values()])
        within = int(((values.abs() <= 0.3) & (values != 0 if model is pruned else True)).sum())
        assert sum(counts(weights, label)) == within
    stays = torch.as_tensor(mask.images[0].get_array())
    if "filters" in method:  # the mask has the dense network's shape, with gaps where channels are missing
        rows, columns = stays.any(1), stays.any(0)
        assert torch.equal(stays, rows[:, None] & columns)
        assert stays.shape == dense.classifier[0].weight.shape
        assert (int(rows.sum()), int(columns.sum())) == pruned.classifier[0].weight.shape
    else:
        assert torch.equal(stays, pruned.classifier[0].weight != 0)
    assert (weights.get_xlabel(), weights.get_yscale()) == ("weight", "log")
    assert mask.get_title() == "classifier.0: white weights stay"


def test_goals_of_the_playground(playground):
    shown(playground, method=WHOLE, pruned=0.9)
    forget_goals()
    playground.redraw()
    assert ticks(playground) == [False, False, False]
    shown(playground, pruned=0.98)
    assert ticks(playground) == [True, False, False]
    shown(playground, method=RANDOM, pruned=0.2)
    assert ticks(playground) == [True, True, False]
    shown(playground, method="whole filters, L2", pruned=0.3)
    assert ticks(playground) == [True, True, True]
    collapsed, by_chance, smaller = (sentence for _, sentence in goals(playground))
    assert "without 98 % of the weights" in collapsed and "without 20 %, chosen at random" in by_chance
    assert "only missing filters save it" in smaller


@pytest.mark.parametrize("method", [name for name in METHODS if "filters" not in name])
def test_zeros_never_make_the_playground_s_file_smaller(playground, method):
    shown(playground, method=method, pruned=0.1)
    forget_goals()
    playground.redraw()
    assert not ticks(playground)[2]


def test_at_sparsity_0_the_playground_shows_the_dense_network(playground):
    text, (weights, mask) = shown(playground, pruned=0.0)
    accuracy = text.split("<b>")[1].split(" %")[0]
    assert f"(dense {accuracy} %)" in text and "268,650 nonzero parameters" in text and "batch of 32: " in text
    dense, left = (counts(weights, label) for label in ("dense", "after pruning"))
    assert dense == left and mask.images[0].get_array().all()


@pytest.mark.parametrize("sparsity", [0.0, 0.99])
@pytest.mark.parametrize("method", METHODS)
def test_every_method_goes_to_both_ends_of_the_slider_and_leaves_the_model_alone(method, sparsity):
    torch.manual_seed(0)
    model = models.MyNet()
    before = copy.deepcopy(model.state_dict())
    x = torch.randn(2, 3, 32, 32)
    pruned = METHODS[method](copy.deepcopy(model), sparsity, x[:1])
    assert pruned(x).shape == (2, 10)
    left, total = (
        int(sum(layer.weight.ne(0).sum() for layer in pruning.prunable(m).values())) for m in (pruned, model)
    )
    assert left == total if sparsity == 0 else 0 < left < 0.1 * total
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_the_shipped_sweep_has_the_shape_that_it_promises():
    result = recorded("pruning_sweep")["result"]
    assert result["sparsities"] == list(SPARSITIES) and result["seeds"] == list(SEEDS)
    assert len(result["dense"]) == len(SEEDS)
    for method in ("one shot, no fine-tuning", "one shot", "in levels", "random"):
        assert [len(row) for row in result[method]] == [len(SPARSITIES)] * len(SEEDS)
        assert all(0 <= accuracy <= 100 for row in result[method] for accuracy in row)


def with_ranks_from_one(scores, count):
    return torch.tensor([int(rank) * count // len(scores) for rank in rankdata(scores.numpy(), "ordinal")])


def mask_by_topk(weight, keep):
    """Row by row for a matrix of groups, like the hint's solution."""
    scores = weight.abs() if weight.shape[1] == 4 else weight.abs().flatten()
    return torch.zeros_like(scores, dtype=torch.bool).scatter(-1, scores.topk(keep).indices, True)


MISTAKES = [
    ("pruning.l1_importance", lambda w: torch.linalg.vector_norm(w.flatten(1), dim=1), "L2 norm"),
    ("pruning.l1_importance", lambda w: w.flatten(1).sum(1).abs(), "magnitude of the sum"),
    ("pruning.l1_importance", lambda w: torch.linalg.vector_norm(w, 1), "summed the whole layer"),
    ("pruning.levels", with_ranks_from_one, "level `count`"),
    ("pruning.levels", lambda s, c: torch.tensor(rankdata(s.numpy(), "ordinal")) - 1, "returned ranks"),
    ("pruning.magnitude_mask", lambda w, k: mask_by_topk(w, k).flatten(), "but flat"),
    ("pruning.magnitude_mask", lambda w, k: w * mask_by_topk(w, k).reshape(w.shape), "pruned weights"),
    ("pruning.cubic_sparsity", lambda step, steps, final: final * (1 - (1 - step // steps) ** 3), "drops the fraction"),
    ("pruning.n_m_mask", lambda w: mask_by_topk(w.reshape(-1, 4), 2), "groups of four"),
    ("pruning.flatten_columns", lambda k, h, w: columns_by_flatten(k, h, w).reshape(len(k), -1), "still in a matrix"),
    ("pruning.remove_filters", lambda a, b, c, k: (a[k], b[k], c[k][:, k]), "as well as its inputs"),
]


@pytest.mark.parametrize(("id", "answer", "said"), MISTAKES)
def test_a_likely_mistake_is_named(id, answer, said):
    for start in range(0, 160, 16):
        verdict = examine(exercises()[id], answer, seeds=range(start, start + 16))
        assert not verdict.passed and said in verdict.mistake, verdict.mistake


class TestLayerGraph:
    x = torch.zeros(1, 3, 32, 32)

    def letters(self, model):
        nodes = layer_graph(model, self.x)
        return {node.key: node.name.split()[-1] for node in nodes if node.key and node.name.split()[1:]}, nodes

    def test_of_the_teacher(self):
        found, nodes = self.letters(models.Teacher((4, 6, 8)))
        assert found == {
            "stem.0": "A", "stages.0.conv1": "B", "stages.0.conv2": "A", "stages.1.conv1": "C", "stages.1.conv2": "D",
            "stages.1.shortcut.0": "D", "stages.2.conv1": "E", "stages.2.conv2": "F", "stages.2.shortcut.0": "F",
        }  # fmt: skip
        assert next(node.sources for node in nodes if node.name == "+") == ("stages.0.conv2", "stem.0")
        assert nodes[-1].name == "head"

    def test_of_a_concatenating_network(self):
        found, nodes = self.letters(Concatenating(4))
        assert {name: found[name] for name in ("stem", "conv1", "conv2")} == {"stem": "A", "conv1": "B", "conv2": "C"}
        assert [node.sources for node in nodes if node.name == "concat"] == [("stem", "conv1"), ("cat", "conv2")]
