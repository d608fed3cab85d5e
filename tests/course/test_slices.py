"""The statements of a notebook that measured the times in an expression, and no others."""

import ast

import pytest

from nnopt_lab.course.slices import contains_times, measuring_statements, overwritten, statements


def slice_of(expression, *cells):
    before = statements(cells)
    return [ast.unparse(s.node) for s in measuring_statements(ast.parse(expression, mode="eval").body, before)]


TIMED = "timings = measure.latency({'a': net}, batch)"


def test_the_statements_between_the_measurement_and_the_expression():
    cells = [
        "net = train()",
        f"{TIMED}\nprint(timings)",
        "ratio = measure.ratio(timings['a'], timings['b'])\nplot(ratio)",
    ]
    assert slice_of("ratio.median < 3", *cells) == [TIMED, "ratio = measure.ratio(timings['a'], timings['b'])"]
    assert slice_of("timings['a'].median < 3", *cells) == [TIMED]


@pytest.mark.parametrize("expression", ["net.size < 3", "3 < 4", "unknown", "accuracy > 80", "ratio.low > 1"])
def test_an_expression_without_times_has_none(expression):
    cells = [TIMED, "accuracy = evaluate(net)", "ratio = measure.ratio(a, b)"]
    assert slice_of(expression, *cells) == []
    assert not contains_times(ast.parse(expression, mode="eval").body, statements(cells))


@pytest.mark.parametrize(
    "call",
    ["measure.latency(m, x)", "latency(m, x)", "time.perf_counter()", "perf_counter()", "machine.peak_gflops()",
     "device.Stopwatch(here)", "batch_size_sweep.sweep(step, x)", "capstone.judge()", "time.process_time()"],
)  # fmt: skip
def test_what_measures(call):
    assert slice_of("found", f"found = f({call})") == [f"found = f({call})"]
    assert contains_times(ast.parse(f"{call} < 3", mode="eval").body, [])


@pytest.mark.parametrize("call", ["relatency(m)", "latency_of(m)", "range_calibration.calibrate(net)", "compare(a, b)"])
def test_what_only_sounds_like_it(call):
    assert slice_of("found", f"found = {call}") == []


def test_the_last_binding_before_the_use_counts_and_not_a_later_one():
    cells = [TIMED, "first = timings['a']", "timings = measure.latency({'b': net}, batch)", "second = timings['b']"]
    assert slice_of("first", *cells) == [TIMED, "first = timings['a']"]
    assert slice_of("second", *cells) == cells[2:]
    assert slice_of("timings", *cells, "timings = 3") == []


def test_a_cell_that_ran_again_counts_as_it_ran_last():
    assert slice_of("t", "t = perf_counter()", "t = 2 * perf_counter()") == ["t = 2 * perf_counter()"]
    assert slice_of("t", "t = perf_counter()", "t = 4") == []


def test_loops_that_fill_a_list_bring_the_empty_list_along():
    cells = [
        "rows, kept = [], 3",
        "for n in (1, 2):\n    t = measure.latency(m, x[:n])\n    rows.append(t['a'].median)",
    ]
    assert slice_of("max(rows)", *cells) == [ast.unparse(ast.parse(cell).body[0]) for cell in cells]
    assert slice_of("kept", *cells) == []


@pytest.mark.parametrize("change", ["found[n] = t", "found.setdefault(n, t)", "found.of.x = t", "found[n][0] += t"])
def test_changes_in_place(change):
    cells = ["found = {}", f"for n in (1, 2):\n    t = perf_counter()\n    {change}"]
    assert len(slice_of("found[1]", *cells)) == 2


def test_augmented_assignment_needs_what_was_there():
    for change in ("total += perf_counter()", "total = total + perf_counter()"):
        assert slice_of("total", "total = 0", change) == ["total = 0", change]


def test_functions_that_measure_and_functions_that_read_times():
    cells = [
        "def seconds(model):\n    return measure.latency({'m': model}, x)['m'].median",
        "mine = seconds(net)",
        "def gain(n):\n    return mine / n",
    ]
    assert slice_of("mine", *cells) == [ast.unparse(ast.parse(cell).body[0]) for cell in cells[:2]]
    assert len(slice_of("gain(2)", *cells)) == 3
    assert len(slice_of("lambda: gain(2) > 1", *cells)) == 3


@pytest.mark.parametrize(
    "own", ["lambda timings: timings", "[timings for timings in xs]", "{timings: 1 for timings in xs}"]
)
def test_a_name_of_an_inner_scope_is_another_name(own):
    assert slice_of("x", TIMED, f"x = {own}") == []


def test_a_loop_does_not_read_its_own_variables():
    cells = ["for name in 'ab':\n    t = perf_counter()", "for name in 'cd':\n    size = len(name)\n    t = size"]
    assert slice_of("size", *cells) == [] and slice_of("t", *cells) == []


def test_exact_parts_of_a_measured_result_are_no_times():
    cells = ["table = measure.compare(nets, x)", "a, b = table.rows", "board = capstone.judge()"]
    for exact in ("a['macs'] / b['macs']", "board.baseline.bytes", "board['x'].accuracy", "a['total']"):
        assert slice_of(exact, *cells) == []
    assert len(slice_of("a['ratio'] / a['macs']", *cells)) == 2
    assert len(slice_of("board['x'].faster", *cells)) == 1


def test_cells_that_are_no_python_are_left_out():
    assert slice_of("t", "%matplotlib inline", "t = perf_counter()", "!ls\nt = 3") == ["t = perf_counter()"]


def test_a_name_that_has_another_value_by_then_is_found():
    cells = ["batch = a", TIMED, "batch = b"]
    before = statements(cells)
    needed = measuring_statements(ast.parse("timings", mode="eval").body, before)
    assert overwritten(needed, before) == {"batch"}
    assert overwritten(needed, before[:2]) == set()
    again = statements(["batch = perf_counter()", "t = batch + latency(m)", "batch = 3"])
    assert overwritten(again[:2], again) == set()  # the slice makes its own


def test_what_a_traceback_has_linked_to_the_node_that_all_nodes_share_is_not_followed(monkeypatch):
    """IPython's tracebacks set a parent for each node of a file's tree, `ast.Load()` included: minutes per lesson."""

    class Tree:
        def __deepcopy__(self, memo):
            raise AssertionError("The tree of another file was copied.")

    monkeypatch.setattr(ast.parse("x").body[0].value.ctx, "parent", Tree(), raising=False)
    (statement,) = statements(["after_a_traceback = rows['macs'] + other.bytes + rows['seconds']"])
    assert (statement.reads, statement.binds) == ({"rows"}, {"after_a_traceback"})
