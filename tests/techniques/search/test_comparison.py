"""The comparison of an exported engine with the original, on answers known in advance."""

from dataclasses import replace

import torch

from nnopt_lab.techniques.search.comparison import Comparison, Usage, in_words
from nnopt_lab.workbench.measure import Ratio, Timing


def timings(models, batch):
    return {name: Timing(tuple(2.0**-i for _ in range(6)), len(batch)) for i, name in enumerate(models)}


def known(lost, count=100, names=("cat", "dog")):
    """The original is always right; the exported engine takes `lost` dogs for cats."""
    labels = torch.arange(2).repeat_interleave(count)
    after = labels.clone()
    after[count : count + lost] = 0
    return Comparison(labels, labels, after, names, {(1, 2): timings({"original": 1, "new": 1}, labels[:1])}, (1, 2))


def test_a_class_that_loses_ten_points_is_told_even_where_the_mean_loses_less():
    assert known(15).losses() == ["Class dog loses 15.0 percentage points of accuracy."]
    assert known(15).parity == 92.5
    assert known(9).losses() == [] and known(0).losses() == []


def test_a_loss_that_chance_explains_is_not_told():
    assert known(1, count=5).losses() == []  # 20 points, but one picture


def test_the_tables_in_numbers():
    seen = known(15)
    assert seen.class_rows()[1:] == [["dog", "100", "100.0 %", "85.0 %", "−15.0"],
                                     ["cat", "100", "100.0 %", "100.0 %", "0.0"]]  # fmt: skip
    assert seen.confusion_rows()[1:] == [["cat", "100", "0"], ["dog", "0 → 15", "100 → 85"]]
    assert seen.time_rows()[1][:2] == ["1", "2"] and "2.00× faster (95 % interval" in seen.time_rows()[1][-1]
    assert seen.speedup.estimate == 2.0 and seen.accuracies == (100.0, 92.5)
    assert known(15, names=()).losses()[0].startswith("Class 1 ")


def test_many_classes_have_no_confusion_table_and_only_the_largest_losses():
    labels = torch.arange(30).repeat(4)
    after = torch.where(labels == 7, 8, labels)
    seen = Comparison(labels, labels, after, (), {}, (1, 1))
    assert seen.confusion_rows() == [] and len(seen.class_rows()) == 21 and seen.class_rows()[1][0] == "7"


def test_memory_and_energy_in_numbers():
    usage = Usage((3 * 2**20, 1000), "weighed", (0.25, 0.125))
    seen = replace(known(0), usage=usage)
    assert seen.usage_rows()[1:] == [["peak memory", "3.00 MiB", "below 1 MiB"], ["energy", "0.25 J", "0.125 J"]]
    assert seen.usage_notes() == ["Peak memory: weighed, to about 1 MiB."]
    unknown = replace(known(0), usage=Usage((), "why not.", (None,), "no counter."))
    assert unknown.usage_rows()[1:] == [["peak memory", *["unknown"] * 2], ["energy", *["unknown"] * 2]]
    assert unknown.usage_notes() == ["Peak memory is unknown: why not.", "Energy is unknown: no counter."]


def test_a_ratio_that_a_busy_machine_hides_is_not_told_as_a_gain():
    assert in_words(Ratio(9.0, 2.0, 90.0, 0.95)).startswith("unsteady (2.00 to 90.00 times as fast")
    assert in_words(Ratio(2.0, 1.9, 2.1, 0.95)).startswith("2.00× faster")
