"""Batches on their way to the device: in the loader's order, and none too small for a batch norm."""

import pytest
import torch
from torch import nn

from nnopt_lab.workbench import data, training
from nnopt_lab.workbench import device as devices
from tests.workbench.training.common import PICTURES, fit, net, weights


class TestBatchNorm:
    def seen(self, model, **options):
        """The sizes of the batches that a model with batch norm is trained on in two epochs."""
        sizes = []
        model.register_forward_hook(lambda layer, inputs, output: sizes.append(len(output)) if layer.training else None)
        fit(model, **options)
        return sizes

    def net(self):
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(3072, 8), nn.BatchNorm1d(8), nn.Linear(8, 10))

    @pytest.mark.parametrize(("count", "batch_size", "sizes"), [(17, 16, [17]), (33, 16, [16, 17]), (3, 2, [3])])
    def test_a_last_batch_of_one_picture_joins_the_one_before_it(self, count, batch_size, sizes):
        assert self.seen(self.net(), train=PICTURES.train[:count], batch_size=batch_size) == 2 * sizes

    def test_so_does_one_of_a_sampler_or_a_loader_of_your_own(self):
        assert self.seen(self.net(), batches=[[0, 1, 2], [3, 4], [5]]) == 2 * [3, 3]
        assert self.seen(self.net(), batches=[[0], [1, 2]]) == 2 * [3]
        x, y = PICTURES.to_input(PICTURES.train.images), PICTURES.train.labels
        loader = [(x[a:b], (y[a:b], y[a:b])) for a, b in ((0, 16), (16, 17))]
        loss = lambda logits, targets: nn.functional.cross_entropy(logits, targets[0])  # noqa: E731
        assert self.seen(self.net(), loader=loader, loss=loss) == 2 * [17]

    def test_without_batch_norm_every_batch_stays_as_it_came(self):
        assert self.seen(net(), batches=[[0, 1, 2], [3]]) == 2 * [3, 1]

    def test_where_nothing_can_be_joined_the_error_says_so(self):
        for options in ({"train": PICTURES.train[:1]}, {"batch_size": 1}):
            with pytest.raises(ValueError, match=r"A batch of 1 leaves batch norm a single value per channel"):
                fit(self.net(), **options)


class TestResident:
    @pytest.mark.parametrize("dropout", [0.0, 0.5])
    @pytest.mark.parametrize("batch_size", [7, 16, 59, 60])
    def test_gives_on_the_cpu_the_same_weights_as_the_loader_bit_for_bit(self, batch_size, dropout):
        plain, resident = net(dropout=dropout), net(dropout=dropout)
        for model, chosen in ((plain, False), (resident, True)):
            fit(model, batch_size=batch_size, seed=5, resident=chosen)
        assert torch.equal(weights(plain), weights(resident))

    def test_augments_and_takes_a_part_of_the_pictures_or_a_sampler_as_the_loader_does(self):
        for options in ({"train": PICTURES.train[:33]}, {"batches": [[3, 1], [2, 0, 5]]}):
            plain, resident = net(), net()
            for model, chosen in ((plain, False), (resident, True)):
                fit(model, augment=data.random_flips_and_shifts(2), resident=chosen, **options)
            assert torch.equal(weights(plain), weights(resident))

    def test_uploads_every_picture_once_and_then_only_the_order(self):
        def bytes_of(epochs):
            with devices.stand_in(launch_seconds=0.0, bytes_per_second=1.0) as fake:
                fit(net(), epochs=epochs, device="accelerator", resident=True)
                fake.wait()
                return fake.clock()

        order, split = 8 * len(PICTURES.train), lambda part: part.images.nbytes + part.labels.nbytes
        first = bytes_of(1)
        assert first >= split(PICTURES.train) + split(PICTURES.validation) + order
        assert bytes_of(3) - bytes_of(2) == bytes_of(2) - first
        assert bytes_of(2) - first < 4 * (order + 8 * len(PICTURES.validation) + split(PICTURES.train) // 50)

    def test_makes_input_once_unless_pictures_are_augmented(self):
        calls = []

        class Counting(data.Pictures):
            def to_input(self, images):
                calls.append(len(images))
                return super().to_input(images)

        pictures = Counting(**vars(PICTURES))
        training.fit(net(), pictures, epochs=3, device="cpu", resident=True)
        made = sorted(count for count in calls if count > 1)  # one picture tells how large an input is
        assert made == [len(PICTURES.validation), len(PICTURES.train)]

    def test_needs_a_split(self):
        with pytest.raises(ValueError, match="resident=True needs a split, and a loader replaces it"):
            fit(net(), loader=[], resident=True)


def test_without_batches_the_epoch_is_named():
    x, y = PICTURES.to_input(PICTURES.train.images[:4]), PICTURES.train.labels[:4]
    for loader, epoch in (([], 1), (iter([(x, y)]), 2)):
        with pytest.raises(ValueError, match=f"Epoch {epoch} got no batches"):
            fit(net(), loader=loader)


class Double(nn.Module):
    """Input in float64, so that only the order of sums differs."""

    def forward(self, x):
        return x.double()


class TestAccumulation:
    @pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.Adagrad])
    @pytest.mark.parametrize(("batch_size", "accumulate"), [(5, 3), (8, 2), (7, 3), (60, 2), (1, 60)])
    def test_equals_the_large_batch_and_its_schedule(self, batch_size, accumulate, kind):
        def trained(**options):
            model = nn.Sequential(Double(), net().double())
            history = fit(
                model,
                optimizer=lambda parameters: kind(parameters, lr=0.05),
                scheduler=lambda optimizer: torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9),
                **options,
            )
            return weights(model), history

        few, plain = trained(batch_size=batch_size, accumulate=accumulate)
        large, wanted = trained(batch_size=batch_size * accumulate)
        assert torch.allclose(few, large, rtol=0, atol=1e-12)
        assert plain.learning_rate == wanted.learning_rate
        assert plain.train_loss == pytest.approx(wanted.train_loss)
        assert plain.train_accuracy == pytest.approx(wanted.train_accuracy)

    def test_the_end_of_an_epoch_ends_a_group(self):
        steps = []

        class Counting(torch.optim.SGD):
            def step(self, closure=None):
                steps.append(len(seen))
                return super().step(closure)

        seen, model = [], net()
        model.register_forward_hook(lambda layer, inputs, output: seen.append(1) if layer.training else None)
        fit(model, batch_size=10, accumulate=4, optimizer=lambda parameters: Counting(parameters, lr=0.1))
        assert steps == [4, 6, 10, 12]

    @pytest.mark.parametrize("accumulate", [0, -1, 1.5])
    def test_refuses(self, accumulate):
        with pytest.raises(ValueError, match=f"accumulate={accumulate} must be an integer, at least 1"):
            fit(net(), accumulate=accumulate)
