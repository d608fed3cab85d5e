"""Training in integers: unbiased rounding, shifts that are divisions, and gradients that are those of floats."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nnopt_lab.techniques.quantization import integer_training
from nnopt_lab.workbench import measure

seeds = st.integers(0, 10_000)


def generator(seed):
    return torch.Generator().manual_seed(seed)


class TestStochasticRounding:
    @given(seeds)
    def test_is_a_neighbour_and_right_on_average(self, seed):
        x = torch.randn(20, generator=generator(seed)) * 10
        n = 4000
        rounded = integer_training.stochastic_round(x.expand(n, 20), torch.rand(n, 20, generator=generator(seed + 1)))
        assert ((rounded == x.floor()) | (rounded == x.ceil())).all()
        error = (rounded.double().mean(0) - x).abs()
        assert (error < 5.5 * 0.5 / n**0.5).all()  # 5.5 standard errors at the largest spread, that of a coin

    def test_whole_numbers_stay(self):
        x = torch.arange(-5.0, 6.0)
        assert torch.equal(integer_training.stochastic_round(x, torch.full((11,), 0.999)), x)


class TestShiftRight:
    @given(seeds, st.integers(1, 12))
    def test_to_nearest_is_a_division_rounded_with_the_middle_upwards(self, seed, bits):
        x = torch.randint(-100_000, 100_000, (100,), generator=generator(seed), dtype=torch.int32)
        assert torch.equal(integer_training.shift_right(x, bits).double(), (x.double() / 2**bits + 0.5).floor())

    @given(seeds, st.integers(1, 6))
    def test_over_all_noise_the_mean_is_exact(self, seed, bits):
        x = torch.randint(-1000, 1000, (50,), generator=generator(seed), dtype=torch.int32)
        noise = torch.arange(2**bits, dtype=torch.int32)[:, None].expand(-1, 50)
        assert torch.equal(integer_training.shift_right(x, bits, noise).sum(0, dtype=torch.int32), x)

    def test_below_zero_bits_it_multiplies(self):
        assert integer_training.shift_right(torch.tensor([-3, 5]), -2).tolist() == [-12, 20]
        assert integer_training.shift_right(torch.tensor([-3, 5]), 0).tolist() == [-3, 5]


@given(seeds, st.integers(0, 24))
def test_to_int8_loses_at_most_half_a_unit_and_uses_the_range(seed, size):
    x = torch.randint(-(2**size), 2**size + 1, (30,), generator=generator(seed), dtype=torch.int32)
    q, exponent = integer_training.to_int8(x, -3)
    assert q.dtype == torch.int8 and q.abs().max() <= 127
    unit = 2.0 ** (exponent + 3)
    assert ((q.double() * unit - x).abs() <= unit / 2 + (q.abs() == 127) * unit / 2).all()
    assert exponent == -3 or q.abs().max() >= 63


def problem(n=64):
    images = torch.randint(0, 256, (n, 1, 28, 28), generator=generator(0), dtype=torch.uint8)
    return images, (images.float().flatten(1)[:, :10]).argmax(1)


class TestIntegerMLP:
    def test_everything_in_it_is_an_integer(self):
        net, (images, labels) = integer_training.IntegerMLP(bits=12), problem()
        with measure.Dtypes() as dtypes:
            net.step(images, labels)
        assert dtypes.seen and not any(dtype.is_floating_point for dtype in dtypes.seen)
        assert {w.dtype for w in net.weights} == {torch.int16}

    def test_updates_are_the_gradients_of_the_float_network(self):
        net, (images, labels) = integer_training.IntegerMLP(bits=16, rounding="nearest", rate=6), problem()
        before = [w.double() / 2**15 for w in net.weights]
        net.step(images, labels)
        moved = [w.double() / 2**15 - b for w, b in zip(net.weights, before, strict=True)]
        parameters = [b.clone().requires_grad_() for b in before]
        x = ((images.flatten(1) >> 1).double() - 36) / 2**7
        target = torch.nn.functional.one_hot(labels, 10).double()
        loss = ((x @ parameters[0]).relu() @ parameters[1] - target).square().sum() / 2
        for found, gradient in zip(moved, torch.autograd.grad(loss, parameters), strict=True):
            cosine = torch.nn.functional.cosine_similarity(found.flatten(), -gradient.flatten(), dim=0)
            assert cosine > 0.98
            assert 0.9 < found.norm() / (gradient.norm() * 2**-6) < 1.1

    def test_nearest_stalls_where_stochastic_moves(self):
        images, labels = problem()
        shares = {
            rounding: integer_training.IntegerMLP(bits=8, rounding=rounding, rate=12).step(images, labels)
            for rounding in integer_training.ROUNDINGS
        }
        assert shares["nearest"] < 1e-3 < 5e-3 < shares["stochastic"]

    def test_stochastic_updates_are_right_on_average(self):
        images, labels = problem()
        runs = []
        for seed in range(60):
            net = integer_training.IntegerMLP(bits=8, rate=10)
            before = net.weights[1].double()
            net.generator.manual_seed(seed)
            net.step(images, labels)
            runs.append(net.weights[1].double() - before)
        fine = integer_training.IntegerMLP(bits=8, rate=0, rounding="nearest")
        fine.limit = 2**15 - 1  # room for an update that is 2¹⁰ times as large
        before = fine.weights[1].double()
        fine.step(images, labels)
        wanted = ((fine.weights[1].double() - before) / 2**10).flatten()
        mean = torch.stack(runs).mean(0).flatten()
        assert torch.nn.functional.cosine_similarity(mean, wanted, dim=0) > 0.8
        torch.testing.assert_close(mean @ wanted / (wanted @ wanted), torch.tensor(1.0).double(), rtol=0.2, atol=0)

    def test_the_same_seed_gives_the_same_weights_and_training_learns(self):
        images, labels = problem(512)
        nets = [integer_training.IntegerMLP(bits=16, rate=9, seed=3) for _ in range(2)]
        for net in nets:
            before = integer_training.accuracy(net, images, labels)
            shares = integer_training.train(net, images, labels, epochs=10)
        assert len(shares) == 40 and all(0 < share <= 1 for share in shares)
        assert all(torch.equal(a, b) for a, b in zip(nets[0].weights, nets[1].weights, strict=True))
        assert integer_training.accuracy(nets[0], images, labels) > before + 20

    @pytest.mark.parametrize(
        ("options", "sentence"),
        [({"bits": 7}, "bits=7 must be 8 to 16"), ({"rounding": "up"}, "rounding='up' must be one of nearest, stoch")],
    )
    def test_refuses(self, options, sentence):
        with pytest.raises(ValueError, match=sentence):
            integer_training.IntegerMLP(**options)
