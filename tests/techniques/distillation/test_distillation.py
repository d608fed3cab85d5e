"""Distillation: the losses as their papers write them, and a teacher that is asked once."""

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from nnopt_lab.techniques import distillation
from nnopt_lab.workbench import data, models, training

seeds = st.integers(0, 2**32 - 1)
temperatures = st.floats(0.5, 20)


def logits(seed, count=5, classes=6):
    g = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(2, count, classes, generator=g, dtype=torch.float64), torch.randint(
        0, classes, (count,), generator=g
    )


@pytest.fixture(scope="module")
def few():
    whole = data.load("fashion")
    splits = (whole.train[:128], whole.validation[:64], whole.test[:64])
    return data.Pictures("few", *splits, whole.classes, whole.mean, whole.std)


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


class TestInTheLoop:
    def test_a_watched_layer_is_trained_towards_the_teachers(self, few):
        teacher, student = models.trained("teacher"), models.MyNet()
        watch = distillation.Watch(student, ["features.3"])
        adapter = nn.Conv2d(32, 64, 1)
        asked = distillation.WithTeacher(data.loader(few.train, few, 64), teacher, ["stages.1"])
        for loss in (
            distillation.attention_transfer(watch, "features.3", distillation.distillation_loss()),
            distillation.hint(watch, "features.3", adapter, distillation.distillation_loss()),
        ):
            parameters = [*student.parameters(), *adapter.parameters()]
            history = training.fit(
                student, few, epochs=3, loader=asked, loss=loss, optimizer=torch.optim.AdamW(parameters, 2e-3)
            )
            assert history.train_loss[-1] < history.train_loss[0]
        assert len(asked) == 2

    def test_the_teacher_is_not_changed(self, few):
        teacher = models.trained("teacher").train()
        before = copy.deepcopy(teacher.state_dict())
        for _, targets in distillation.WithTeacher(data.loader(few.train, few, 64), teacher):
            assert not any(t.requires_grad for t in targets)
        assert all(torch.equal(before[key], value) for key, value in teacher.state_dict().items())
        assert teacher.training

    def test_a_layer_that_is_not_there(self):
        with pytest.raises(ValueError, match=r"features\.9"):
            distillation.Watch(models.MyNet(), ["features.9"])


class TestCachedTeacher:
    def test_cached_logits_are_the_teachers(self, few, tmp_path):
        teacher = models.trained("teacher")  # its batch norms count batches in a single number
        for inputs, (_, said) in distillation.cached_teacher_loader(
            teacher, few.train, few, tmp_path, batch_size=30, seed=3
        ):
            with torch.no_grad():
                assert torch.allclose(teacher(inputs), said, atol=1e-4)

    def test_it_is_asked_once_and_again_where_the_weights_or_the_pictures_change(self, few, tmp_path):
        asked = []
        teacher = models.trained()
        teacher.register_forward_hook(lambda *_: asked.append(1))
        for _ in range(2):
            distillation.cached_logits(teacher, few.train, few, tmp_path)
        assert len(asked) == 1 and len(list(tmp_path.iterdir())) == 1
        with torch.no_grad():
            teacher.classifier[2].bias[0] += 1e-3
        distillation.cached_logits(teacher, few.train, few, tmp_path)
        distillation.cached_logits(teacher, few.train[:100], few, tmp_path)
        assert len(asked) == 3 and len(list(tmp_path.iterdir())) == 3

    def test_an_interrupted_file_is_never_read(self, few, tmp_path):
        teacher = models.trained()
        handle = teacher.register_forward_hook(lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            distillation.cached_logits(teacher, few.train, few, tmp_path)
        handle.remove()
        assert len(distillation.cached_logits(teacher, few.train, few, tmp_path)) == 128

    def test_training_with_it_is_the_one_loop(self, few, tmp_path):
        student = models.MyNet()
        history = training.fit(
            student,
            few,
            epochs=2,
            loader=distillation.cached_teacher_loader(models.trained(), few.train, few, tmp_path),
            loss=distillation.distillation_loss(),
        )
        assert len(history.train_loss) == 2 and history.train_loss[1] < history.train_loss[0]


def test_views_are_every_picture_augmented_anew_with_its_label(few):
    seen = distillation.views(few.train, data.random_flips_and_shifts(3), 4)
    assert seen.images.shape == (4 * 128, *few.train.images.shape[1:]) and seen.images.dtype == torch.uint8
    assert torch.equal(seen.labels, few.train.labels.repeat(4))
    first, *others = seen.images.split(128)
    assert all(not torch.equal(first, other) for other in others)
    assert torch.equal(distillation.views(few.train, lambda images: images, 2).images[128:], few.train.images)
