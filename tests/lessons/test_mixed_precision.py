"""Lesson 11: its exercises against torch's casts, scaler and integer kernels, its playground, its recordings."""

import math

import numpy as np
import pytest
import torch

from nnopt_lab.course.checking import examine
from nnopt_lab.course.exercises import exercises
from nnopt_lab.course.goals import forget_goals
from nnopt_lab.course.recordings import recorded
from nnopt_lab.lessons.mixed_precision import experiments
from nnopt_lab.lessons.mixed_precision.measurements import training_step
from nnopt_lab.lessons.mixed_precision.playground import precision_playground
from nnopt_lab.lessons.mixed_precision.watching import kept_for_backward, largest_values, output_gradients
from tests.lessons.playgrounds import goals, line, shown, ticks
from tests.workbench.plots.drawing import overlapping_texts


def unit_in_the_last_place(x, mantissa_bits, smallest_exponent):
    """float64's, which has 52 mantissa bits; Python asks the machine for it."""
    return math.ulp(max(abs(x), 2.0**smallest_exponent)) * 2.0 ** (52 - mantissa_bits)


def rounded_by_the_machine(x, mantissa_bits):
    """By torch's casts to 8 bits, or by adding what leaves float64 no more bits."""
    if mantissa_bits in (2, 3):
        return x.to({2: torch.float8_e5m2, 3: torch.float8_e4m3fn}[mantissa_bits]).float()
    numbers = x.double().numpy()
    large = np.ldexp(1.5, np.frexp(numbers)[1] - 1 + 52 - mantissa_bits)
    return torch.from_numpy((numbers + large) - large)


def largest_that_fits(gradients, largest):
    exponents = np.arange(40, -40, -1)
    fits = np.ldexp(np.abs(gradients.double().numpy()).max(), exponents) <= largest
    return int(exponents[fits.argmax()])


def grad_scaler(scale, good, overflow, interval):
    scaler = torch.amp.GradScaler("cpu", growth_interval=interval)
    scaler.load_state_dict(scaler.state_dict() | {"scale": scale, "_growth_tracker": good})
    weight = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.SGD([weight], lr=1.0)
    scaler.scale(weight).backward()
    if overflow:
        weight.grad.fill_(math.inf)
    scaler.step(optimizer)
    scaler.update()
    return scaler.get_scale(), scaler.state_dict()["_growth_tracker"], weight.item() != 0


def optimizer_step(master, gradient, scale, rate):
    weight = torch.nn.Parameter(master.clone())
    weight.grad = gradient.float()
    optimizer, scaler = torch.optim.SGD([weight], lr=rate), torch.amp.GradScaler("cpu", init_scale=scale)
    scaler.scale(torch.zeros(()))  # the scaler makes its scale when it is first used
    scaler.step(optimizer)
    return weight.detach(), weight.detach().to(torch.float16)


def integer_kernel(x, weight):
    scale, scales = x.abs().max() / 127, weight.abs().amax(1) / 127
    q, r = (values.round().to(torch.int8) for values in (x / scale, weight.T / scales))
    return torch._int_mm(q, r.contiguous()) * scale * scales


COUNTERPARTS = {
    "precision.spacing": unit_in_the_last_place,
    "precision.round_mantissa": rounded_by_the_machine,
    "precision.loss_shift": largest_that_fits,
    "precision.scaler_step": grad_scaler,
    "precision.master_step": optimizer_step,
    "precision.int8_product": integer_kernel,
}


@pytest.mark.parametrize("id", COUNTERPARTS)
def test_an_answer_by_other_libraries_passes(id):
    verdict = examine(exercises()[id], COUNTERPARTS[id], seeds=range(200))
    assert verdict.passed, verdict


@pytest.fixture(scope="module")
def playground():
    return precision_playground()


DTYPES = {
    "float32": torch.float32,
    "fp16": torch.float16,
    "bf16": torch.bfloat16,
    "fp8 e4m3": torch.float8_e4m3fn,
    "fp8 e5m2": torch.float8_e5m2,
}


@pytest.mark.parametrize("number", ["0.1", "-3,14159", "0", "257"])
def test_the_playground_writes_the_bits_of_a_number_in_every_format(playground, number):
    _, (table, _) = shown(playground, number=number)
    x = torch.tensor(float(number.replace(",", ".")))
    rows = {}
    for text in table.texts:
        rows.setdefault(text.get_position()[1], []).append(text.get_text())
    rows = {name: (*bits, held) for name, *bits, held in rows.values()}
    assert rows.keys() == DTYPES.keys() | {"tf32", "int8"}
    for name, dtype in DTYPES.items():
        held = x.to(dtype)
        width = 8 * dtype.itemsize
        raw = int(held.view({8: torch.uint8, 16: torch.int16, 32: torch.int32}[width])) % 2**width
        *bits, value = rows[name]
        assert "".join(bits) == f"{raw:0{width}b}" and float(value) == pytest.approx(held.float().item(), rel=1e-8)
    assert int(rows["int8"][0], 2) == round(127 * max(-1, min(1, x.item()))) % 256


@pytest.mark.parametrize("name", [*DTYPES, "tf32", "int8"])
def test_the_playground_draws_a_number_between_its_neighbours(playground, name):
    text, (_, ax) = shown(playground, number="0.3", format=name)
    marks = ax.lines[0].get_xdata()
    held = line(ax, "stored value").get_xdata()[0]
    assert line(ax, "the number itself").get_xdata()[0] == 0.3 and marks[1] == held
    assert marks[0] < min(0.3, held) <= max(0.3, held) < marks[2]
    assert abs(held - 0.3) == pytest.approx(min(abs(marks - 0.3)))
    assert [tick.get_text() for tick in ax.get_xticklabels()] == [f"{mark:.6g}".replace("-", "−") for mark in marks]
    assert text.startswith(f"{name} stores <b>{held:.9g}</b>") and ax.get_title() == f"{name}: neighbours"


FOUND = [
    ("257", [True, False, False], "bf16 stores 256 instead of 257"),
    ("-65521", [True, False, False], "bf16 stores -65536 instead of -65521"),
    ("1e-8", [False, True, False], "1e-08 is 0 in fp16 and 1e-08 in bf16"),
    ("0.63", [False, False, True], "For 0.63, int8's error is 7.9e-05, and bf16's 0.0011"),
    ("0", [False, False, False], ""),
    ("256", [False, False, False], ""),
    ("6e-8", [False, False, False], ""),  # fp16's smallest
    ("0.5", [False, False, False], ""),  # bf16 has it
    ("3.4e38", [True, False, False], ""),  # beyond bf16's largest, and far beyond int8's
]


@pytest.mark.parametrize(("number", "ticked", "sentence"), FOUND)
def test_the_playgrounds_goals_are_numbers_that_a_format_skips_loses_or_meets(playground, number, ticked, sentence):
    shown(playground, number=number)
    forget_goals()
    playground.redraw()
    assert ticks(playground) == ticked
    assert any(said.startswith(sentence) for _, said in goals(playground))


FAR = [("65520", "right"), ("-65520", "left"), ("3e38", "right"), ("1.01", "right")]


@pytest.mark.parametrize(("number", "side"), FAR)
def test_a_number_far_beyond_the_grid_leaves_its_neighbours_apart(playground, number, side):
    _, (_, ax) = shown(playground, number=number, format="int8")
    (at,), marks = line(ax, f"the number itself, far to the {side}").get_xdata(), ax.lines[0].get_xdata()
    low, high = ax.get_xlim()
    assert low < at < high and (at > max(marks)) == (side == "right")
    assert len(set(marks)) == len(marks) == 2 and max(marks) - min(marks) > (high - low) / 4
    assert not overlapping_texts(playground.figure)


def test_the_playground_names_the_neighbours_and_refuses_what_is_no_number(playground):
    text, _ = shown(playground, number="257", format="bf16")
    assert text == "bf16 stores <b>256</b> · error -1, <b>0.389 %</b> · neighbours 255 and 258"
    for bad in ("many", "nan", "1e39", ""):
        assert "must be a finite number" in shown(playground, number=bad)[0]
    text, (_, ax) = shown(playground, number="70000", format="fp16")
    assert "stores <b>inf</b>: its largest number is 65504" in text
    assert [note.get_text() for note in ax.texts] == ["beyond the largest number, 65504"] and not ax.lines


def test_the_shipped_precision_experiments_have_the_shape_that_they_promise():
    training, shrunk, weights = (recorded(f"precision_{name}")["result"] for name in ("training", "shrunk", "weights"))
    assert all(len(values) == len(experiments.TRAINING_SEEDS) for values in training["accuracy"].values())
    assert shrunk["shrunk_by"] == list(experiments.SHRUNK_BY)
    for name, looks in {"fp16": 7, "fp16 and scaler": 7, "bf16": 2, "float32": 2}.items():
        assert [len(row) for row in shrunk[name]] == [len(experiments.SHRUNK_SEEDS)] * looks
    assert weights["rates"] == list(experiments.WEIGHTS_RATES)
    for way, rows in weights["accuracy"].items():
        assert [len(row) for row in rows] == [len(experiments.WEIGHTS_SEEDS)] * len(weights["rates"])
        assert all(0 <= share <= 1 for share in weights["unmoved"][way])


def two_layers():
    first, second = torch.nn.Linear(2, 2, bias=False), torch.nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        first.weight.copy_(torch.tensor([[3.0, 0.0], [0.0, 1.0]]))
        second.weight.copy_(torch.tensor([[0.0, -2.0], [1.0, 0.0]]))
    return torch.nn.Sequential(first, torch.nn.ReLU(), second)


def test_the_largest_value_of_a_layer_is_among_its_inputs_and_outputs_and_only_while_watched():
    net = two_layers()
    with largest_values(net) as found:
        net(torch.tensor([[-9.0, 5.0]]))
    net(torch.ones(1, 2))
    assert found == [27, 10]


def test_gradients_of_outputs_are_those_of_autograd_from_the_last_layer_on():
    net, inputs, labels = two_layers(), torch.tensor([[1.0, 2.0]]), torch.tensor([0])
    with output_gradients(net) as caught:
        torch.nn.functional.cross_entropy(net(inputs), labels).backward()
    hidden = net[0](inputs)
    output = net[2](hidden.relu())
    loss = torch.nn.functional.cross_entropy(output, labels)
    expected = torch.autograd.grad(loss, (output, hidden))
    assert len(caught) == 2
    for gradient, own in zip(caught, expected, strict=True):
        torch.testing.assert_close(gradient, own.flatten())


def test_what_is_kept_for_the_backward_pass_is_counted_without_parameters():
    inputs, labels = torch.ones(4, 2), torch.zeros(4, dtype=torch.int64)
    kept = kept_for_backward(torch.nn.Linear(2, 2), inputs, labels)
    # The inputs, and the log-softmax of the outputs with its labels; a scalar counts the pictures.
    assert (
        kept["int64"] == labels.nbytes and inputs.nbytes + 4 * 2 * 4 <= kept["float32"] <= inputs.nbytes + 4 * 2 * 4 + 8
    )
    assert "bfloat16" in kept_for_backward(torch.nn.Linear(2, 2), inputs, labels, torch.bfloat16)


def test_a_training_step_repeats_the_labels_and_leaves_the_network_as_it_is():
    net = two_layers()
    before = [p.clone() for p in net.parameters()]
    step, inputs = training_step(net, torch.tensor([0, 1])), torch.ones(6, 2)
    with torch.inference_mode():
        step(inputs)
    assert all(map(torch.equal, before, net.parameters()))
    assert all(p.grad is None for p in net.parameters())
