"""A preset's numbers count unless others are given."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnopt_lab.techniques.search.presets import PRESETS, Preset, chosen


@given(
    st.sampled_from(sorted(PRESETS)),
    st.none() | st.integers(1, 999),
    st.none() | st.integers(1, 99),
    st.none() | st.floats(0.1, math.inf),
)
def test_what_is_given_replaces_the_presets(name, trials, epochs, seconds):
    found, preset = chosen(name, trials, epochs, seconds), PRESETS[name]
    assert found.trials == (trials or preset.trials) and found.epochs == (epochs or preset.epochs)
    assert found.seconds == (preset.seconds if seconds is None else seconds)


def test_more_effort_is_more_of_everything():
    quick, balanced, thorough = PRESETS.values()
    assert quick.trials < balanced.trials < thorough.trials and quick.epochs < balanced.epochs < thorough.epochs
    assert quick.seconds and balanced == Preset(40, 2) and thorough.seconds is None


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("fast", None, None, None), "preset='fast' must be one of 'quick', 'balanced', 'thorough'"),
        (("quick", 0, None, None), "trials=0 must be at least 1"),
        (("quick", None, -1, None), "epochs=-1 must be at least 1"),
        (("quick", None, None, 0), "seconds=0 must be above 0, or math.inf for no limit"),
        (("quick", None, None, math.nan), "seconds=nan"),
    ],
)
def test_what_is_out_of_its_range(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        chosen(*arguments)
