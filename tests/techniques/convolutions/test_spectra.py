"""Singular values by the Gram matrix are as exact as promised, and computed once per weight."""

import pytest
import torch
from torch import nn

from nnopt_lab.techniques.convolutions import low_rank, spectra


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch):
    monkeypatch.setattr(spectra, "_results", type(spectra._results)())


@pytest.fixture
def calls(monkeypatch):
    """The shapes of the matrices that were decomposed."""
    shapes = []
    for name in ("_values", "_vectors"):
        compute = getattr(spectra, name)
        monkeypatch.setattr(spectra, name, lambda matrix, f=compute: (shapes.append(tuple(matrix.shape)), f(matrix))[1])
    return shapes


def matrix_of(condition, rows=60, columns=40, seed=0):
    """A float32 matrix with singular values from 1 down to 1/condition."""
    generator = torch.Generator().manual_seed(seed)
    count = min(rows, columns)
    left, right = (
        torch.linalg.qr(torch.randn(n, count, dtype=torch.float64, generator=generator))[0] for n in (rows, columns)
    )
    values = torch.logspace(0, -torch.log10(torch.tensor(float(condition))).item(), count, dtype=torch.float64)
    return ((left * values) @ right.T).float()


@pytest.mark.parametrize("large", [1, 1000], ids=["float32 first", "float64"])
@pytest.mark.parametrize("shape", [(80, 40), (40, 80), (40, 40), (1, 5), (5, 1)])
@pytest.mark.parametrize("condition", [1, 10, 90, 1e3, 1e5])
def test_relative_errors_are_as_promised(monkeypatch, condition, shape, large):
    monkeypatch.setattr(spectra, "LARGE", large)
    matrix = matrix_of(condition, *shape)
    exact = torch.linalg.svdvals(matrix.double())
    got = spectra.singular_values(matrix)
    assert got.shape == exact.shape and got.dtype == torch.float64
    assert ((got - exact).abs() / exact).max() < 5e-5


@pytest.mark.parametrize("large", [1, 1000])
@pytest.mark.parametrize("shape", [(80, 40), (40, 80)])
@pytest.mark.parametrize("condition", [2, 90, 1e4])
@pytest.mark.parametrize("rank", [1, 17, 40])
def test_factors_are_the_closest(monkeypatch, condition, shape, large, rank):
    monkeypatch.setattr(spectra, "LARGE", large)
    matrix = matrix_of(condition, *shape)
    first, second = spectra.closest_factors(matrix, rank)
    gap = (matrix - first @ second).double().norm()
    lost = torch.linalg.svdvals(matrix.double())[rank:].norm()  # Eckart & Young
    assert (gap - lost).abs() < 1e-5
    assert torch.allclose(first.norm(), second.norm(), rtol=1e-3)


@pytest.mark.parametrize("large", [1, 1000])
@pytest.mark.parametrize("matrix", [torch.zeros(6, 4), torch.ones(6, 4), torch.eye(5)[:, :3] * 1e-20])
def test_matrices_without_full_rank(monkeypatch, matrix, large):
    monkeypatch.setattr(spectra, "LARGE", large)
    first, second = spectra.closest_factors(matrix, 3)
    assert torch.isfinite(first).all() and torch.isfinite(second).all()
    assert torch.allclose(first @ second, matrix, atol=1e-6)


def test_an_exactly_low_rank_matrix_loses_nothing():
    matrix = matrix_of(5, 50, 6) @ matrix_of(5, 6, 50)
    first, second = spectra.closest_factors(matrix, 6)
    assert torch.allclose(first @ second, matrix, atol=1e-6)


class TestKept:
    model = nn.Sequential(nn.Linear(9, 7), nn.Conv2d(3, 4, 3))

    def test_values_and_factors_are_computed_once_for_all_energies_ranks_and_copies(self, calls):
        for energy in (0.5, 0.9, 0.99):
            low_rank.choose_ranks(self.model, energy=energy)
        assert calls == [(7, 9), (9, 12)]
        for rank in (1, 3):
            low_rank.low_rank(self.model, {"0": rank})
            low_rank.low_rank(nn.Sequential(*self.model), {"0": rank})
        assert calls == [(7, 9), (9, 12), (7, 9)]

    @pytest.mark.parametrize("change", [lambda w: w.data.mul_(2), lambda w: w.detach().numpy().fill(1)])
    def test_a_changed_weight_is_noticed_however_it_was_changed(self, change):
        model = nn.Sequential(nn.Linear(9, 7))
        spectra.singular_values(model[0].weight)
        change(model[0].weight)
        values = torch.linalg.svdvals(model[0].weight.detach().double())
        assert torch.allclose(spectra.singular_values(model[0].weight), values, atol=1e-6)

    def test_the_oldest_results_are_dropped_where_memory_is_short(self, calls, monkeypatch):
        monkeypatch.setattr(spectra, "KEPT_BYTES", 3 * 7 * 8)
        matrices = [matrix_of(2, 9, 7, seed) for seed in range(5)]
        for matrix in [*matrices, matrices[-1], matrices[0]]:
            spectra.singular_values(matrix)
        assert len(calls) == 6 and len(spectra._results) == 3

    def test_the_result_is_the_same_bit_for_bit(self):
        first = spectra.closest_factors(matrix_of(10), 5)
        again = spectra.closest_factors(matrix_of(10), 5)
        spectra._results.clear()
        anew = spectra.closest_factors(matrix_of(10), 5)
        assert all(torch.equal(a, b) and torch.equal(a, c) for a, b, c in zip(first, again, anew, strict=True))


def test_networks_to_be_loaded_are_shaped_without_a_decomposition(calls):
    model = nn.Sequential(nn.Linear(9, 7), nn.Conv2d(3, 4, 3))
    ranks = {"0": 3, "1": 2}
    trained = low_rank.low_rank(model, ranks)
    calls.clear()
    shaped = low_rank.low_rank(model, ranks, fill=False)
    assert not calls and all(not part.weight.any() for factors in shaped for part in factors)
    shaped.load_state_dict(trained.state_dict())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize(
    "call", [lambda m: low_rank.choose_ranks(m, energy=0.5), lambda m: low_rank.low_rank(m, {"0": 1})]
)
def test_weights_that_are_not_numbers_are_refused_by_name(value, call):
    model = nn.Sequential(nn.Linear(3, 3))
    nn.init.constant_(model[0].weight, value)
    with pytest.raises(ValueError, match="model's layer '0' has weights that are NaN or infinite"):
        call(model)
