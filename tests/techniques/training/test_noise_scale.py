"""The gradient noise scale, by known answers."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from nnopt_lab.techniques.training import noise_scale
from tests.techniques.training.networks import net, tiny


class TestNoiseScale:
    @given(st.floats(0.1, 9), st.floats(0.0, 99), st.integers(1, 30), st.integers(1, 30))
    def test_two_norms_give_back_what_they_were_made_of(self, signal, noise, small, more):
        big = small + more
        found = noise_scale.from_norms(small, big, signal + noise / small, signal + noise / big)
        assert found.signal == pytest.approx(signal, rel=1e-6) and found.noise == pytest.approx(noise, abs=1e-6)
        assert found.simple == pytest.approx(noise / signal, rel=1e-5, abs=1e-6)

    def test_a_quadratic_with_a_known_answer(self):
        # loss_i(w) = ½ Σ h (w − c_i)², c_i ~ N(0, s²): gradient h (w − c_i), mean h (w − c̄), covariance diag(h² s²).
        generator = torch.Generator().manual_seed(0)
        h, s, w = torch.tensor([1.0, 2.0, 4.0]), torch.tensor([3.0, 1.0, 0.5]), torch.tensor([1.0, -0.5, 0.25])
        centres = s * torch.randn(4000, 3, generator=generator)
        gradients = h * (w - centres)
        signal, noise = gradients.mean(0).square().sum(), gradients.var(0, correction=0).sum()
        estimates = [
            noise_scale.measured(lambda i: gradients[i].mean(0), 4000, small=4, parts=8, draws=200, seed=seed)
            for seed in range(20)
        ]
        for part, exact in (("signal", signal), ("noise", noise)):
            values = torch.tensor([getattr(e, part) for e in estimates])
            error = values.std() / len(values) ** 0.5
            assert abs(values.mean() - exact) < 3 * error, part
            assert error < 0.05 * exact
        assert torch.tensor([e.simple for e in estimates]).median().item() == pytest.approx(
            (noise / signal).item(), rel=0.1
        )

    def test_no_signal_is_an_infinite_scale_and_no_noise_is_none(self):
        assert noise_scale.from_norms(1, 10, 1.0, 0.05).simple == float("inf")
        assert noise_scale.from_norms(1, 10, 1.0, 1.0).simple == 0

    @pytest.mark.parametrize(("small", "big"), [(4, 4), (8, 4), (0, 4)])
    def test_refuses_sizes_in_another_order(self, small, big):
        with pytest.raises(ValueError, match=f"small={small} and big={big} must be"):
            noise_scale.from_norms(small, big, 2.0, 1.0)

    def test_the_gradient_of_a_network_is_autograds_and_leaves_grad_alone(self):
        pictures, model = tiny(), net()
        positions = torch.tensor([3, 1, 4, 1])
        found = noise_scale.gradient_of(model, pictures)(positions)
        assert all(p.grad is None for p in model.parameters())
        part = pictures.train[positions]
        nn.functional.cross_entropy(model(pictures.to_input(part.images)), part.labels).backward()
        assert found.equal(torch.cat([p.grad.flatten() for p in model.parameters()]))


def test_what_has_no_gradient_is_one_sentence():
    frozen = net().requires_grad_(False)
    with pytest.raises(ValueError, match="has only frozen parameters"):
        noise_scale.gradient_of(frozen, tiny())
    with pytest.raises(ValueError, match="has only frozen parameters"):
        noise_scale.gradient_of(nn.Flatten(), tiny())
