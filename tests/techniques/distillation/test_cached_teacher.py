"""A teacher that runs once: its logits are kept, and made again where something changes."""

import dataclasses

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from nnopt_lab.techniques import distillation
from nnopt_lab.workbench import data, models, training


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

    def test_another_activation_buffer_or_transform_is_another_teacher(self, few, tmp_path, monkeypatch):
        class Teacher(nn.Module):
            def __init__(self, activation, scale=1.0):
                super().__init__()
                torch.manual_seed(0)
                self.layer, self.activation = nn.Linear(3 * 32 * 32, 10), activation
                self.register_buffer("scale", torch.tensor(scale), persistent=False)

            def forward(self, x):
                return self.activation(self.layer(x.flatten(1))) * self.scale

        @dataclasses.dataclass(frozen=True)
        class Brighter(data.Pictures):
            factor: float

            def to_input(self, images):
                return self.factor * super().to_input(images)

        of = [
            (Teacher(F.relu), few),
            (Teacher(torch.tanh), few),
            (Teacher(nn.ReLU()), few),
            (Teacher(F.relu, 2.0), few),
        ]
        of += [(Teacher(F.relu), Brighter(**vars(few), factor=factor)) for factor in (2.0, 3.0)]
        for teacher, pictures in of:
            said = distillation.cached_logits(teacher, few.train, pictures, tmp_path)
            with torch.no_grad():
                torch.testing.assert_close(said, teacher(pictures.to_input(few.train.images)), rtol=1e-4, atol=1e-4)
        monkeypatch.setenv("NNOPT_SMOKE", "1")  # its answers are those for a few pictures, repeated
        distillation.cached_logits(of[0][0], few.train, few, tmp_path)
        assert len(list(tmp_path.iterdir())) == len(of) + 1

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
