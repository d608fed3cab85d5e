"""The training loop: the same steps as torch written out, the same weights for the same seed, and a clean Ctrl-C."""

import copy

import pytest
import torch
from torch import nn

from nnopt_lab.workbench import data, training
from nnopt_lab.workbench import device as devices
from tests.workbench.training.common import PICTURES, fit, net, weights


class TestFit:
    def test_learns(self):
        history = fit(net(), epochs=10)
        assert history.train_loss[-1] < history.train_loss[0] / 2
        assert all(len(v) == 10 for v in vars(history).values() if isinstance(v, list))
        assert not history.interrupted and "10 epochs" in repr(history)

    def test_takes_the_steps_that_torch_written_out_takes(self):
        ours, theirs = net(), net()
        fit(ours, epochs=1, batches=[[0, 1, 2], [3, 4]])
        optimizer = torch.optim.SGD(theirs.parameters(), lr=0.01, momentum=0.9)
        for batch in ([0, 1, 2], [3, 4]):
            optimizer.zero_grad()
            inputs = PICTURES.to_input(PICTURES.train.images[batch])
            nn.functional.cross_entropy(theirs(inputs), PICTURES.train.labels[batch]).backward()
            optimizer.step()
        assert torch.equal(weights(ours), weights(theirs))

    def test_the_same_seed_gives_the_same_weights_bit_for_bit(self):
        a, b, other = net(dropout=0.5), net(dropout=0.5), net(dropout=0.5)
        for model, seed in ((a, 3), (b, 3), (other, 4)):
            torch.rand(seed)  # what was drawn before must not matter
            fit(model, seed=seed, augment=data.random_flips_and_shifts(seed))
        assert torch.equal(weights(a), weights(b)) and not torch.equal(weights(a), weights(other))

    def test_leaves_the_random_state_and_the_settings_of_torch_alone(self):
        model = net(dropout=0.5)
        before = torch.get_rng_state()
        fit(model)
        assert torch.equal(torch.get_rng_state(), before)
        assert not torch.are_deterministic_algorithms_enabled() and not model.training

    def test_no_epoch_changes_nothing(self):
        model = net()
        before = weights(model)
        history = fit(model, epochs=0)
        assert torch.equal(weights(model), before) and repr(history) == "History(no epoch finished)"

    def test_an_optimizer_may_be_given_made_or_as_a_recipe(self):
        made, recipe = net(), net()
        fit(made, optimizer=torch.optim.Adam(made.parameters(), lr=0.01))
        fit(recipe, optimizer=lambda parameters: torch.optim.Adam(parameters, lr=0.01))
        assert torch.equal(weights(made), weights(recipe))

    @pytest.mark.parametrize(("per", "rates"), [("batch", [1.0, 0.5**4]), ("epoch", [1.0, 0.5])])
    def test_a_schedule_steps_per_batch_or_per_epoch(self, per, rates):
        history = fit(
            net(),
            optimizer=lambda parameters: torch.optim.SGD(parameters, lr=1.0),
            scheduler=lambda optimizer: torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5),
            schedule_per=per,
            loss=lambda logits, labels: 0.0 * logits.sum(),
        )
        assert history.learning_rate == pytest.approx(rates)  # 60 pictures in batches of 16: four steps an epoch

    def test_reduce_on_plateau_gets_the_validation_loss_once_an_epoch(self):
        seen = []

        class Plateau(torch.optim.lr_scheduler.ReduceLROnPlateau):
            def step(self, metrics, epoch=None):
                seen.append(metrics)
                super().step(metrics)

        history = fit(net(), scheduler=Plateau, epochs=3)
        assert seen == history.validation_loss and len(seen) == 3

    def test_a_loss_of_ones_own_is_used(self):
        calls = []

        def loss(logits, labels):
            calls.append((logits.shape, labels.dtype))
            return nn.functional.multi_margin_loss(logits, labels)

        fit(net(), loss=loss, epochs=1)
        assert calls[0] == ((16, 10), torch.int64) and len(calls) == 4

    def test_a_loader_of_ones_own_may_carry_several_targets(self):
        inputs, labels = PICTURES.to_input(PICTURES.train.images[:8]), PICTURES.train.labels[:8]
        soft = torch.full((8, 10), 0.1)
        history = fit(
            net(),
            loader=[(inputs, (labels, soft))],
            loss=lambda logits, targets: nn.functional.cross_entropy(logits, targets[1]),
        )
        assert len(history.train_accuracy) == 2

    def test_a_part_of_the_training_pictures_can_be_named(self):
        seen = []
        fit(net(), train=PICTURES.train[:5], epochs=1, augment=lambda images: seen.append(len(images)) or images)
        assert seen == [5]

    def test_brings_the_model_back_to_where_it_was(self, monkeypatch):
        model, moves = net(), []
        monkeypatch.setattr(model, "to", lambda device: moves.append(device) or model)
        with devices.stand_in():
            fit(model, epochs=0, device="accelerator")
            assert moves == [devices.find("accelerator"), torch.device("cpu")]
            with pytest.raises(ValueError, match="optimizer lacks"):
                fit(model, optimizer=torch.optim.SGD(net().parameters(), lr=1.0), device="accelerator")
        assert moves[2:] == moves[:2]

    def test_ctrl_c_ends_it_cleanly_and_keeps_whole_epochs(self):
        steps = []

        def loss(logits, labels):
            steps.append(1)
            if len(steps) == 7:  # in the second epoch
                raise KeyboardInterrupt
            return nn.functional.cross_entropy(logits, labels)

        model = net()
        history = fit(model, loss=loss, epochs=5)
        assert history.interrupted and not model.training
        assert all(len(v) == 1 for v in vars(history).values() if isinstance(v, list))
        assert torch.are_deterministic_algorithms_enabled() is False

    def test_ctrl_c_at_once_leaves_an_empty_history(self):
        def loss(logits, labels):
            raise KeyboardInterrupt

        assert repr(fit(net(), loss=loss)) == "History(no epoch finished)"

    def test_an_optimizer_of_other_parameters_is_refused(self):
        model = net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        with pytest.raises(ValueError, match="optimizer lacks 4 of the model's parameters and updates other tensors"):
            fit(copy.deepcopy(model), optimizer=optimizer)

    def test_an_optimizer_of_replaced_parameters_is_refused(self):
        model = net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        model[1].weight = nn.Parameter(torch.zeros(16, 3072))  # its bias is still the model's
        with pytest.raises(ValueError, match="optimizer lacks 1 of the model's parameters and updates other tensors"):
            fit(model, optimizer=optimizer)

    def test_an_optimizer_may_hold_a_part_of_the_model_or_more_than_it(self):
        model, beside = net(), nn.Linear(2, 2)
        fit(model, epochs=1, optimizer=torch.optim.SGD(model[4].parameters(), lr=0.1))
        fit(model, epochs=1, optimizer=torch.optim.SGD([*model.parameters(), *beside.parameters()], lr=0.1))

    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    def test_a_loss_that_leaves_the_numbers_is_said_with_the_learning_rate(self, value):
        with pytest.raises(ValueError, match=f"The loss became {value} at learning rate 0.01"):
            fit(net(), loss=lambda logits, labels: logits.sum() * value)

    @pytest.mark.parametrize(
        ("options", "sentence"),
        [
            ({"epochs": -1}, "epochs=-1 must be an integer"),
            ({"epochs": 1.5}, "epochs=1.5 must be an integer"),
            ({"schedule_per": "day"}, "schedule_per='day' must be 'batch' or 'epoch'"),
            ({"batch_size": 0}, "batch_size=0 must be at least 1"),
        ],
    )
    def test_refuses(self, options, sentence):
        with pytest.raises(ValueError, match=sentence):
            fit(net(), **options)


class Several(nn.Module):
    def __init__(self, pack):
        super().__init__()
        self.net, self.pack = net(), pack

    def forward(self, x):
        return self.pack(self.net(x))


@pytest.mark.parametrize("pack", [lambda y: (y, y), lambda y: {"logits": y}, lambda y: [y]])
def test_a_network_that_returns_more_than_a_tensor_is_refused_in_one_sentence(pack):
    for call in (fit, lambda model: training.evaluate(model, PICTURES.test, PICTURES)):
        with pytest.raises(
            ValueError, match=r"^Several returns a (tuple|dict|list); it must return one tensor, the logits"
        ):
            call(Several(pack))
