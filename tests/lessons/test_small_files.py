"""Lesson 07: its exercises against autograd, a heap, scipy and the course's library, and its recording."""

import base64
import heapq
import math
import re
from itertools import pairwise

import pytest
import torch
from scipy.cluster.vq import vq
from scipy.ndimage import mean

from nnopt_lab.course.checking import examine, judge_answer
from nnopt_lab.course.exercises import exercises, questions
from nnopt_lab.course.recordings import recorded
from nnopt_lab.lessons.small_files import experiments
from nnopt_lab.lessons.small_files.playground import compression_playground
from nnopt_lab.techniques.quantization import deep_compression
from nnopt_lab.workbench import data, models
from tests.lessons.playgrounds import goals, shown, ticks


def by_autograd(gradient, labels, clusters):
    centroids = torch.zeros(clusters, requires_grad=True)
    weight = torch.where(labels >= 0, centroids[labels], 0.0)
    return torch.autograd.grad(weight, centroids, gradient)[0]


def joined_in_a_heap(counts):
    groups, bits = [n for n in counts if n], 0
    heapq.heapify(groups)
    while len(groups) > 1:
        joined = heapq.heappop(groups) + heapq.heappop(groups)
        heapq.heappush(groups, joined)
        bits += joined
    return bits


def moved_by_scipy(values, centroids):
    labels, _ = vq(values[:, None].numpy(), centroids[:, None].numpy())
    used = sorted(set(labels.tolist()))
    moved = centroids.clone()
    moved[used] = torch.tensor(mean(values.numpy(), labels, used), dtype=torch.float32)
    return moved


def zero_by_zero(positions, longest):
    """Walk over all places, and count the zeros."""
    symbols, zeros = [], 0
    for place in range(positions[-1] + 1):
        if place in positions:
            symbols, zeros = [*symbols, zeros], 0
        else:
            zeros += 1
        if zeros == longest:
            symbols, zeros = [*symbols, longest], 0
    return symbols


LESSON = "07_small_files"
COUNTERPARTS = {
    "by_hand.centroid_gradient": by_autograd,
    "by_hand.huffman_bits": joined_in_a_heap,
    "small_files.kmeans_step": moved_by_scipy,
    "small_files.gap_symbols": zero_by_zero,
}


@pytest.mark.parametrize("id", COUNTERPARTS)
def test_an_answer_by_other_libraries_passes(id):
    verdict = examine(exercises()[id], COUNTERPARTS[id], seeds=range(300))
    assert verdict.passed, verdict


def entropy(counts):
    return sum(-n * math.log2(n / sum(counts)) for n in counts if n)


def added_in_place(gradient, labels, clusters):
    sums, kept = torch.zeros(clusters), labels >= 0
    sums[labels[kept]] += gradient[kept]
    return sums


def without_care_for_empty_clusters(values, centroids):
    labels = (values[:, None] - centroids).abs().argmin(1)
    return torch.stack([values[labels == k].mean() for k in range(len(centroids))])


MISTAKES = [
    ("by_hand.huffman_bits", lambda counts: round(entropy(counts)), "entropy"),
    ("by_hand.huffman_bits", lambda counts: math.ceil(entropy(counts)), "entropy"),
    ("by_hand.huffman_bits", lambda counts: int(entropy(counts)), "entropy"),
    ("by_hand.huffman_bits", entropy, "entropy"),
    (
        "by_hand.huffman_bits",
        lambda counts: sum(n * round(-math.log2(n / sum(counts))) for n in counts if n),
        "−log₂ p",
    ),
    ("by_hand.centroid_gradient", added_in_place, "does not add up"),
    ("by_hand.huffman_bits", lambda counts: entropy(counts) / sum(counts), "per symbol"),
    ("small_files.kmeans_step", without_care_for_empty_clusters, "NaN"),
    ("small_files.kmeans_step", lambda v, c: moved_by_scipy(v, c.sort().values), "sorted"),
    ("small_files.gap_symbols", lambda p, longest: [b - a - 1 for a, b in pairwise([-1, *p])], "pieces"),
]


@pytest.mark.parametrize(("id", "answer", "said"), MISTAKES)
def test_a_likely_mistake_is_named(id, answer, said):
    for start in range(0, 160, 16):
        verdict = examine(exercises()[id], answer, seeds=range(start, start + 16))
        assert not verdict.passed and said in verdict.mistake, verdict.mistake


def test_the_playground_shows_the_bytes_of_the_file_by_part():
    playground = compression_playground(models.trained("mynet"), data.load("fashion"))
    text, (ax,) = shown(playground)
    total = int(text.split("<b>")[1].split(" bytes")[0].replace(",", ""))
    assert sum(bar.get_width() for bar in ax.patches) == total
    smaller, (ax,) = shown(playground, bits=1)
    assert sum(bar.get_width() for bar in ax.patches) < total
    assert int(smaller.split("<b>")[1].split(" bytes")[0].replace(",", "")) < total


def test_goals_of_the_playground():
    playground = compression_playground(models.trained("mynet"), data.load("fashion"))
    assert ticks(playground) == [False, False, False]
    shown(playground, **{"zeros,_%": 95})
    assert ticks(playground) == [True, False, False]
    shown(playground, **{"zeros,_%": 90}, bits=1)
    assert ticks(playground) == [True, True, True]
    tiny, two_values, positions = (sentence for _, sentence in goals(playground))
    assert "95 % zeros and 3 bits" in tiny and "With 90 % zeros" in two_values
    _, (ax,) = shown(playground)
    values, places = (ax.patches[n].get_width() for n in (0, 1))
    assert f"{places:,.0f} bytes say where" in positions and f"{values:,.0f} what they are" in positions


def test_no_value_lies_half_way_between_two_centroids():
    generate = exercises()["small_files.kmeans_step"].generate
    for seed in range(500):
        values, centroids = generate(torch.Generator().manual_seed(seed))
        nearest = (values[:, None] - centroids).abs().sort(1).values
        assert (nearest[:, 1] - nearest[:, 0]).min() > 0.15


def test_steps_of_k_means_never_increase_the_error_and_end_where_the_library_ends():
    step = exercises()["small_files.kmeans_step"].reference
    values = torch.randn(400, generator=torch.Generator().manual_seed(0))
    centroids, errors = torch.linspace(float(values.min()), float(values.max()), 6), []
    for _ in range(200):
        errors.append(float((values[:, None] - centroids).square().amin(1).sum()))
        centroids = step(values, centroids)
    assert all(later <= earlier + 1e-4 for earlier, later in pairwise(errors))
    torch.testing.assert_close(centroids, deep_compression.kmeans(values, 6)[0], atol=1e-4, rtol=0)


def test_the_shipped_compression_has_the_shape_that_it_promises_and_its_file_is_a_network(tmp_path):
    result = recorded("deep_compression")["result"]
    sparsities, bits = list(experiments.SPARSITIES), list(experiments.BITS)
    assert (result["sparsities"], result["bits"]) == (sparsities, bits)
    for stage in ("dense", "cut", "pruned", "shared", "trained", "bytes"):
        assert [len(row) for row in result[stage]] == [len(sparsities)] * len(experiments.SEEDS)
    assert all(len(files) == len(bits) for row in result["bytes"] for files in row)
    smallest = result["smallest"]
    raw = base64.b64decode(smallest["file"])
    (tmp_path / "network.bin").write_bytes(raw)
    model = deep_compression.load(tmp_path / "network.bin", models.MyNet())
    assert len(raw) == smallest["bytes"] == sum(smallest["parts"].values()) <= 25_000
    assert deep_compression.save(model, tmp_path / "again.bin") == smallest["parts"]
    assert (tmp_path / "again.bin").read_bytes() == raw


@pytest.mark.parametrize("id", [id for id, q in questions(LESSON).items() if not q.choices])
def test_a_wrong_number_gets_a_comment_of_its_own_and_none_gives_the_answer_away(id):
    asked = questions()[id]
    comments = {asked.comment_on(number) for number in asked.comments}
    assert comments == set(asked.comments.values()) and len(comments) >= 4
    for number, comment in asked.comments.items():
        assert not judge_answer(asked, number)
        assert not re.search(rf"\b{asked.answer}\b", comment)
