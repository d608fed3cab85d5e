"""Loss and accuracy on a split."""

import pytest
import torch
from torch import nn

from nnopt_lab.workbench import data, training
from tests.workbench.training.common import PICTURES, net


def test_evaluate_agrees_with_a_plain_loop_and_restores_the_mode():
    model = net(dropout=0.5).train()
    model[2].eval()
    result = training.evaluate(model, PICTURES.test, PICTURES, batch_size=7)
    assert [layer.training for layer in model] == [True, True, False, True, True] and model.training
    model.eval()
    with torch.no_grad():
        logits = model(PICTURES.to_input(PICTURES.test.images))
    assert result.loss == pytest.approx(nn.functional.cross_entropy(logits, PICTURES.test.labels).item(), rel=1e-5)
    right = logits.argmax(1) == PICTURES.test.labels
    assert torch.equal(result.correct, right) and result.accuracy == pytest.approx(100 * right.float().mean().item())


def test_large_pictures_are_evaluated_in_smaller_batches():
    sizes = []

    class Watching(torch.nn.Module):
        def forward(self, x):
            sizes.append(len(x))
            return x.flatten(1)[:, :2]

    class Large:
        def to_input(self, images):
            return images.float().expand(-1, -1, 512, 512)

    split = data.Split(torch.zeros(70, 3, 1, 1), torch.zeros(70, dtype=torch.int64))
    training.evaluate(Watching(), split, Large())
    assert sizes == [10] * 7, "32 MiB are ten inputs of 3 MiB"
