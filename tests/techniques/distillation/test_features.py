"""Losses that look inside, and a teacher that runs along."""

import copy

import pytest
import torch
from torch import nn

from nnopt_lab.techniques import distillation
from nnopt_lab.workbench import data, models, training


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
