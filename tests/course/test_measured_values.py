"""What a false claim says of the values that its condition compared."""

import ast
from types import SimpleNamespace

import pytest
import torch
from IPython.core.interactiveshell import InteractiveShell

from nnopt_lab.course import claims, timing_claims
from nnopt_lab.course.calls import claim
from nnopt_lab.course.measured_values import measured_values

NAMES = {
    "accuracy": 86.4321,
    "result": SimpleNamespace(accuracy=86.4321),
    "mean": torch.tensor(0.25),
    "losses": [2.6, 1.0],
    "many": 4.2,
    "few": 0.5,
    "macs": 1_885_441,
    "costs": {"a": 1.0, "b": 3.0, "c": 5.0},
    "name": "features.0",
    "seen": (10, 5),
}


@pytest.mark.parametrize(
    ("condition", "text", "sentence"),
    [
        ("accuracy > 90", "", "Measured: 86.4."),
        ("87 < result.accuracy < 91", "Correct on 87 to 91 % of them.", "Measured: 86.4 %."),
        ("87 < 86.996 * few / few < 91", "87 to 91 %", "Measured: 86.996 %."),
        ("few > 3", "It costs more than 3 points.", "Measured: 0.5 points."),
        ("-many > -3", "It costs less than 3 points.", "Measured: 4.2 points."),
        ("-many > -3", "It changes by more than −3 points.", "Measured: −4.2 points."),
        ("mean > 0.85", "More than 85 % are 0.", "Measured: 25 %."),
        ("many > 5.5", "Worth 5.5 dB.", "Measured: 4.2 dB."),
        ("abs(losses[0] - 2.30) < 0.1", "The loss starts near 2.30.", "Measured: 2.6."),
        ("round(accuracy, 1) == 97.6", "97.6 %", "Measured: 86.4 %."),
        ("many < 8 * few", "", "Measured: 4.2 < 4 is false."),
        ("macs == 1_885_440", "", "Measured: 1,885,441."),
        ("many > 4 and few > 4", "", "Measured: 0.5."),
        ("all(cost < 2 for cost in costs.values())", "", "Measured: 3."),
        ("all(costs[n] < 4 for n in costs if n != 'b')", "", "Measured: 5."),
        ("bool(few > 4)", "", "Measured: 0.5."),
        ("lambda: few > 4", "", "Measured: 0.5."),
        ("name == 'classifier.0'", "", "Measured: 'features.0'."),
        ("seen == (10, 4)", "", "Measured: (10, 5)."),
        ("not many", "", ""),
        ("name in ('a', 'b')", "", ""),
        ("2 > 3", "", ""),
    ],
)
def test_the_measured_side_of_a_comparison_is_told_in_the_unit_of_the_claim(condition, text, sentence):
    assert measured_values(ast.parse(condition, mode="eval").body, dict(NAMES), text) == sentence


@pytest.fixture
def notebook(monkeypatch, own_workspace):
    """Runs a cell, and returns the claims that it shows."""
    shell, displayed = InteractiveShell(), []
    for module in (claims, timing_claims):
        monkeypatch.setattr(module, "shell", lambda: shell)
    monkeypatch.setattr(timing_claims, "is_busy", lambda: False)
    monkeypatch.setattr("IPython.display.display", displayed.append)

    def run(source):
        shell.push({"claim": claim, "torch": torch} | NAMES)
        assert shell.run_cell(source, store_history=True).success
        return [str(shown) for shown in displayed]

    return run


def test_a_notebook_shows_them_beside_each_false_claim(notebook):
    source = "claim('Above 90 %.', accuracy > 90)\nfor n in costs:\n    claim(f'Cheap {n}', costs[n] < 4)"
    first, second, _, last = notebook(source)
    assert "Measured: 86.4 %. Run" in first
    assert second == "✔ Cheap a" and last.endswith("Measured: 5.")


def test_a_false_claim_on_times_shows_them_too(notebook):
    (shown,) = notebook("claim('fast', few < 0.1, timing=True)")
    assert "Measured: 0.5. This compares measured times" in shown


def test_looking_for_them_draws_no_random_number(notebook):
    notebook("torch.manual_seed(0); claim('Small', torch.rand(1).item() > 2); x = torch.rand(1)")
    after = torch.rand(1)
    torch.manual_seed(0)
    torch.rand(2)
    assert torch.equal(after, torch.rand(1))


def test_a_condition_that_fails_the_second_time_leaves_the_claim_without_them(notebook):
    (shown,) = notebook("left = iter([5])\nclaim('Small', next(left) < 2)")
    assert shown.startswith("✘ Small") and "Measured" not in shown
