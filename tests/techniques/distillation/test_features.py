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

    @pytest.mark.parametrize("in_place", [True, False])
    def test_what_the_network_does_in_place_later_changes_no_feature_and_no_gradient(self, in_place):
        torch.manual_seed(0)
        teacher = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(in_place), nn.Flatten(), nn.Linear(36, 2))
        student, x = copy.deepcopy(teacher), torch.randn(6, 3, 5, 5)
        watch = distillation.Watch(student, ["0"])
        student(x)
        features = student[0](x)
        torch.testing.assert_close(watch["0"], features)
        wanted = torch.autograd.grad(features.square().sum(), student[0].weight)[0]
        student(x)
        torch.testing.assert_close(torch.autograd.grad(watch["0"].square().sum(), student[0].weight)[0], wanted)
        asked = distillation.WithTeacher([(x, torch.zeros(6, dtype=torch.int64))], teacher, ["0"])
        ((_, (_, logits, seen)),) = asked
        torch.testing.assert_close(seen, teacher[0](x))
        torch.testing.assert_close(logits, teacher(x))

    def test_a_teacher_that_changes_its_input_leaves_the_students_alone(self):
        x = torch.randn(4, 3)
        ((inputs, _),) = distillation.WithTeacher([(x, torch.zeros(4))], nn.Sequential(nn.ReLU(inplace=True)))
        assert inputs is x and (x < 0).any()

    def test_a_teacher_that_returns_a_tuple_is_refused(self):
        with pytest.raises(ValueError, match="LSTM returns a tuple"):
            list(distillation.WithTeacher([(torch.randn(4, 3), torch.zeros(4))], nn.LSTM(3, 2)))

    def test_a_copys_forward_leaves_the_originals_watch_alone(self):
        model = nn.Sequential(nn.Linear(3, 3), nn.ReLU())
        watch = distillation.Watch(model, ["0"])
        model(torch.ones(1, 3))
        before = watch["0"].clone()
        copied, (second, its_watch) = copy.deepcopy(model), copy.deepcopy((model, watch))
        for other in (copied, second):
            other(torch.zeros(1, 3))
        assert torch.equal(watch["0"], before)
        assert torch.equal(its_watch["0"], second[0](torch.zeros(1, 3)))

    def test_a_layer_that_is_not_watched_or_has_not_run(self):
        watch = distillation.Watch(nn.Sequential(nn.Linear(3, 3), nn.ReLU()), ["0"])
        with pytest.raises(ValueError, match="'0' has not run since the watch began"):
            watch["0"]
        with pytest.raises(ValueError, match="'1' is not watched"):
            watch["1"]

    def test_a_layer_that_is_not_there(self):
        with pytest.raises(ValueError, match=r"features\.9"):
            distillation.Watch(models.MyNet(), ["features.9"])
