"""The comparison of an exported engine with the original, on answers known in advance."""

import torch
from torch import nn

from nnopt_lab.techniques.search.comparison import Comparison, compare
from nnopt_lab.workbench.measure import Timing


def timings(models, batch):
    return {name: Timing(tuple(2.0**-i for _ in range(6)), len(batch)) for i, name in enumerate(models)}


def known(lost, count=100, names=("cat", "dog")):
    """The original is always right; the exported engine takes `lost` dogs for cats."""
    labels = torch.arange(2).repeat_interleave(count)
    after = labels.clone()
    after[count : count + lost] = 0
    return Comparison(labels, labels, after, names, {1: timings({"original": 1, "new": 1}, labels[:1])})


def test_a_class_that_loses_ten_points_is_told_even_where_the_mean_loses_less():
    assert known(15).losses() == ["Class dog loses 15.0 percentage points of accuracy."]
    assert known(15).parity == 92.5
    assert known(9).losses() == [] and known(0).losses() == []


def test_a_loss_that_chance_explains_is_not_told():
    assert known(1, count=5).losses() == []  # 20 points, but one picture


def test_the_tables_in_numbers():
    seen = known(15)
    assert seen.class_rows()[1:] == [["dog", "100", "100.0 %", "85.0 %", "-15.0"],
                                     ["cat", "100", "100.0 %", "100.0 %", "+0.0"]]  # fmt: skip
    assert seen.confusion_rows()[1:] == [["cat", "100", "0"], ["dog", "0 → 15", "100 → 85"]]
    assert "2.00× faster (95 % interval" in seen.time_rows()[1][-1]
    assert known(15, names=()).losses()[0].startswith("Class 1 ")


def test_many_classes_have_no_confusion_table_and_only_the_largest_losses():
    labels = torch.arange(30).repeat(4)
    after = torch.where(labels == 7, 8, labels)
    seen = Comparison(labels, labels, after, (), {})
    assert seen.confusion_rows() == [] and len(seen.class_rows()) == 21 and seen.class_rows()[1][0] == "7"


def test_it_runs_both_engines_on_the_validation_pictures(task):
    task_labels = task.pictures.validation.labels
    other = nn.Sequential(nn.Flatten(), nn.Linear(192, 3))
    with torch.no_grad():
        seen = compare(task, task.model, other, timings, [1, 4])
        assert torch.equal(seen.before, task.model(task.pictures.validation.images).argmax(1))
        assert torch.equal(seen.after, other(task.pictures.validation.images).argmax(1))
    assert torch.equal(seen.labels, task_labels) and list(seen.times) == [1, 4]
    assert seen.times[4]["new"].batch_size == 4
