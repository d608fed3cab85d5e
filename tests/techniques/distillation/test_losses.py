"""The losses on logits, as their papers write them."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from nnopt_lab.techniques import distillation

seeds = st.integers(0, 2**32 - 1)
temperatures = st.floats(0.5, 20)


def logits(seed, count=5, classes=6):
    g = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(2, count, classes, generator=g, dtype=torch.float64), torch.randint(
        0, classes, (count,), generator=g
    )


class TestLosses:
    @given(seeds, temperatures)
    def test_the_soft_loss_is_the_cross_entropy_with_soft_targets_but_for_a_constant(self, seed, temperature):
        (student, teacher), _ = logits(seed)
        student.requires_grad_()
        ours = torch.autograd.grad(distillation.soft_loss(student, teacher, temperature), student)[0]
        soft = (teacher / temperature).softmax(1)
        theirs = torch.autograd.grad(temperature**2 * F.cross_entropy(student / temperature, soft), student)[0]
        assert torch.allclose(ours, theirs, atol=1e-10)
        assert distillation.soft_loss(teacher, teacher, temperature) == pytest.approx(0, abs=1e-9)
        assert distillation.soft_loss(student, teacher, temperature) >= 0

    @given(seeds)
    def test_at_a_high_temperature_it_matches_logits(self, seed):
        # Hinton et al. 2015, equation 4: for zero-mean logits the gradient tends to (z − v)/C.
        (student, teacher), _ = logits(seed)
        student, teacher = ((x - x.mean(1, keepdim=True)).requires_grad_() for x in (student, teacher))
        gradient = torch.autograd.grad(distillation.soft_loss(student, teacher.detach(), 1e4), student)[0]
        assert torch.allclose(gradient * len(student), (student - teacher) / student.shape[1], atol=5e-3)

    @given(seeds, temperatures)
    def test_decoupled_with_the_teachers_doubt_as_its_weight_is_hintons(self, seed, temperature):
        (student, teacher), labels = logits(seed)
        for s, t, label in zip(student, teacher, labels, strict=True):
            doubt = 1 - (t / temperature).softmax(0)[label]
            one = (s[None], t[None], label[None])
            mine = distillation.decoupled_loss(*one, temperature, target=1.0, others=float(doubt))
            assert mine.item() == pytest.approx(distillation.soft_loss(s[None], t[None], temperature).item(), abs=1e-8)

    def test_decoupled_is_finite_where_the_teacher_is_certain(self):
        teacher = torch.tensor([[1000.0, 0, 0]])
        student = torch.zeros(1, 3, requires_grad=True)
        loss = distillation.decoupled_loss(student, teacher, torch.tensor([0]))
        loss.backward()
        assert loss.isfinite() and student.grad.isfinite().all()

    def test_mixing(self):
        (student, teacher), labels = logits(0)
        hard, soft = F.cross_entropy(student, labels), distillation.soft_loss(student, teacher, 3.0)
        mixed = distillation.distillation_loss(3.0, 0.25)(student, (labels, teacher))
        assert mixed == pytest.approx((0.75 * hard + 0.25 * soft).item())

    @given(seeds)
    def test_an_attention_map_is_a_unit_vector_that_ignores_scale_and_order_of_channels(self, seed):
        x = torch.randn(2, 4, 3, 3, generator=torch.Generator().manual_seed(seed))
        seen = distillation.attention_map(x)
        assert torch.allclose(seen.norm(dim=1), torch.ones(2))
        assert torch.allclose(seen, distillation.attention_map(-2 * x[:, [2, 0, 3, 1]]), atol=1e-6)

    @pytest.mark.parametrize("temperature", [0, -1.0, float("nan")])
    def test_temperatures(self, temperature):
        for make in (
            lambda: distillation.soft_targets(torch.ones(1, 2), temperature),
            lambda: distillation.distillation_loss(temperature),
            lambda: distillation.decoupled(temperature),
        ):
            with pytest.raises(ValueError, match="temperature="):
                make()

    def test_shapes_and_shares(self):
        with pytest.raises(ValueError, match=r"\[2, 3\]"):
            distillation.soft_loss(torch.ones(2, 3), torch.ones(2, 4))
        with pytest.raises(ValueError, match="soft_share"):
            distillation.distillation_loss(soft_share=1.5)
