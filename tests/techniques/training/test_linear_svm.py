"""Pegasos on a linear SVM, against a solver of another kind."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nnopt_lab.techniques.training import linear_svm, schedules

floats = st.floats(1e-3, 10)
# torch warns where a scheduler is used wrongly.
pytestmark = pytest.mark.filterwarnings("error")


def two_clouds(count=60, dimensions=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    y = torch.where(torch.rand(count, generator=generator) < 0.5, -1.0, 1.0)
    x = torch.randn(count, dimensions, generator=generator) + 0.7 * y[:, None]
    return x / x.norm(dim=1).max(), y


def dual_optimum(x, y, regularization, passes=3000):
    """(lower bound, weights) by dual coordinate ascent (Hsieh et al. 2008): no rate, no subgradient, and a certificate.

    The dual is mean(α) − λ/2·‖w‖² with w = Σ α·y·x/(λn), 0 ≤ α ≤ 1.
    """
    x, y = x.double(), y.double()
    n, alpha, weight = len(x), torch.zeros(len(x)).double(), torch.zeros(x.shape[1]).double()
    for _ in range(passes // 10):
        for i in range(n):
            gain = regularization * n * (1 - y[i] * (x[i] @ weight)) / (x[i] @ x[i])
            new = (alpha[i] + gain).clamp(0, 1)
            weight += (new - alpha[i]) * y[i] * x[i] / (regularization * n)
            alpha[i] = new
    return float(alpha.mean() - regularization / 2 * weight @ weight), weight


class TestSvm:
    @pytest.mark.parametrize("regularization", [0.1, 0.02])
    @pytest.mark.parametrize("project", [False, True])
    def test_comes_to_the_optimum_that_a_dual_solver_finds(self, regularization, project):
        x, y = two_clouds()
        bound, weight = dual_optimum(x, y, regularization)
        optimum = float(linear_svm.svm_objective(weight, x.double(), y.double(), regularization))
        assert optimum == pytest.approx(bound, abs=1e-6)  # no duality gap: this is the optimum
        way = linear_svm.pegasos_svm(x, y, regularization, 4000, batch_size=8, project=project)
        reached = linear_svm.svm_objective(way, x, y, regularization)
        assert reached.min() >= optimum - 1e-5
        assert reached[-1000:].mean() < optimum + 0.01

    def test_keeps_the_bound_of_the_paper(self):
        # Theorem 1: with projection, ‖x‖ ≤ R and full batches the *average* objective on the way exceeds the optimum by
        # at most (√λ + R)²(1 + ln T)/(2λT).
        x, y = two_clouds()
        regularization, radius = 0.05, float(x.norm(dim=1).max())
        bound, _ = dual_optimum(x, y, regularization)
        weight, values = torch.zeros(4), []
        for t in range(1, 301):
            values.append(float(linear_svm.svm_objective(weight, x, y, regularization)))
            wrong = y * (x @ weight) < 1
            weight = (1 - 1 / t) * weight + ((y * wrong) @ x) / len(y) / (regularization * t)
            weight = weight * min(1.0, regularization**-0.5 / max(float(weight.norm()), 1e-9))
            limit = (regularization**0.5 + radius) ** 2 * (1 + math.log(t)) / (2 * regularization * t)
            assert sum(values) / t - bound <= limit

    def test_a_step_is_the_papers(self):
        x, y = two_clouds()
        way = linear_svm.pegasos_svm(x, y, 0.3, 6, batch_size=3, seed=5)
        weight = torch.zeros(4)
        drawn = torch.randint(len(x), (6, 3), generator=torch.Generator().manual_seed(5))
        for t, chosen in enumerate(drawn, 1):
            push = sum((y[i] * x[i] for i in chosen if y[i] * (x[i] @ weight) < 1), torch.zeros(4))
            weight = (1 - 1 / t) * weight + push / (0.3 * t * 3)
            torch.testing.assert_close(way[t - 1], weight)

    def test_projection_keeps_the_weights_in_the_ball(self):
        x, y = two_clouds()
        free, kept = (linear_svm.pegasos_svm(10 * x, y, 0.01, 50, project=project) for project in (False, True))
        assert free.norm(dim=1).max() > 10.001 >= kept.norm(dim=1).max()

    def test_takes_any_schedule(self):
        x, y = two_clouds()
        constant = linear_svm.pegasos_svm(x, y, 0.1, 5, schedule=schedules.SCHEDULES["constant"](5), rate=0.5)
        torch.testing.assert_close(
            constant[0],
            0.5 * (y[:, None] * x)[torch.randint(60, (5, 1), generator=torch.Generator().manual_seed(0))[0]][0],
        )

    @given(st.integers(0, 1000), floats)
    def test_the_objective_is_the_formula(self, seed, regularization):
        x, y = two_clouds(seed=seed)
        weights = torch.randn(3, 4, generator=torch.Generator().manual_seed(seed))
        for weight, value in zip(weights, linear_svm.svm_objective(weights, x, y, regularization), strict=True):
            hinge = sum(max(0.0, 1 - float(b * (a @ weight))) for a, b in zip(x, y, strict=True)) / len(y)
            assert float(value) == pytest.approx(regularization / 2 * float(weight @ weight) + hinge, rel=1e-4)

    def test_refuses_no_penalty(self):
        with pytest.raises(ValueError, match="regularization=0 must be above 0"):
            linear_svm.pegasos_svm(*two_clouds(), 0, 5)
