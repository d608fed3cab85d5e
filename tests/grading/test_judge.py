"""The judge: what an answer earns, and what its author reads."""

import ast
import json

import pytest

from nnopt_lab.course.exercises import cell_id, exercises, lesson_points
from nnopt_lab.course.lesson_files import paths
from nnopt_lab.grading import judge
from nnopt_lab.grading.judge import grade
from nnopt_lab.grading.results import JUDGED, Graded
from nnopt_lab.grading.sources import find
from nnopt_lab.grading.submissions import read
from tests.grading.classroom import (
    ATTACKED,
    LESSON,
    QUIET,
    RIGHT,
    RIGHT_QUIET,
    WRONG,
    hand_in,
    linux,
    notebook,
    solved,
)

pytestmark = linux


@pytest.fixture
def graded(sandbox, tmp_path):
    def of(content, seed=1) -> Graded:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        hand_in(folder, "alice", content)
        return grade(read(find([folder])[0]), sandbox, seed)

    return of


@pytest.fixture
def result(graded):
    def of(source, id=ATTACKED, **others):
        found = graded(notebook({id: source, **others}))
        return next(r for r in found.results if r.id == id)

    return of


def test_the_courses_own_answers_earn_everything(graded):
    found = graded(solved())
    assert (found.state, found.reason) == ("graded", "")
    assert sum(r.points for r in found.results) == lesson_points(LESSON)


def test_a_blank_notebook_earns_nothing_and_is_graded(graded):
    found = graded(notebook({}))
    assert found.state == "graded"
    assert {(r.state, r.points) for r in found.results} == {("blank", 0)}


@pytest.mark.parametrize(
    ("source", "state", "said"),
    [
        ("def l1_importance(weight):\n    return weight.sum(dim=(1, 2, 3))", "failed", "You summed the signed weights"),
        ("def l1_importance(weight):\n    raise NotImplementedError", "blank", ""),
        ("def other(weight): pass", "unusable", "must define a function `l1_importance`, but it does not"),
        ("l1_importance = 5", "unusable", "it is of type int"),
        ("def l1_importance(): pass", "unusable", "must accept the arguments (weight); yours accepts ()"),
        (
            "def l1_importance(weight):\n    x = 1\n    return x / 0",
            "raised",
            "Your line 3, `return x / 0`, raised Zero",
        ),
        ("def l1_importance(weight)\n    return 1", "raised", "Your line 1"),
        ("%%writefile a.py\n" + RIGHT, "raised", "IPython's commands don't run"),
        ("def l1_importance(weight):\n    return pruning.importance(weight)", "raised", "nor the course's library"),
        ("def l1_importance(weight):\n    return helper(weight)", "raised", "neither your other cells"),
        ("def l1_importance(weight):\n    return weight.abs().sum((1, 2, 3)).numpy()", "failed", "contains a ndarray"),
        ("def l1_importance(weight):\n    return {1: weight}", "failed", "contains a dict"),
    ],
)
def test_the_sentence_tells_which_mistake_it_is(result, source, state, said):
    found = result(source)
    assert (found.state, found.points) == (state, 0)
    assert said in found.mistake


def test_what_a_lesson_imports_is_there(result):
    source = "def l1_importance(weight):\n    return nn.functional.relu(copy.copy(weight).abs()).sum((1, 2, 3))"
    assert result(source).state == "passed"


def test_an_answer_may_build_on_another_one(result):
    helper = RIGHT_QUIET + "\n\ndef magnitudes(weight):\n    return weight.abs()"
    source = "def l1_importance(weight):\n    cubic_sparsity\n    return magnitudes(weight).sum(dim=(1, 2, 3))"
    assert result(source, **{QUIET: helper}).state == "passed"


def test_the_first_failing_case_is_shown_and_what_was_printed(result):
    found = result(
        "def l1_importance(weight):\n    print('x' * 10_000)\n    return weight.abs().sum(dim=(1, 2, 3)) ** 3 + 0.37"
    )
    assert list(found.inputs) == ["weight"] and "float32 [" in found.got and "float32 [" in found.wanted
    assert found.printed == "x" * 2_000
    assert found.wrong_answer is None


PARTIAL = {
    "pruning.levels": (
        "def levels(scores, count):\n    return scores.argsort(stable=True).argsort(stable=True).clamp(max=count - 1)",
        1,
    ),
    "pruning.magnitude_mask": (
        "def magnitude_mask(weight, keep):\n    return weight.abs() >= weight.abs().flatten().topk(keep).values[-1]",
        1,
    ),
    "pruning.remove_filters": ("def remove_filters(w1, b1, w2, kept):\n    return w1[kept], b1[kept], w2[kept]", 2),
    "pruning.l1_importance": ("def l1_importance(weight):\n    return weight.abs_().sum(dim=(1, 2, 3))", 1),
}


@pytest.mark.parametrize("id", PARTIAL)
def test_what_is_right_of_a_wrong_answer_has_its_credit(result, id):
    source, points = PARTIAL[id]
    found = result(source, id)
    assert found.points == points and found.points < found.possible, found
    assert found.state == "partly right" and found.mistake


@pytest.mark.parametrize(
    ("answer", "state", "points", "got"),
    [
        ("choice = 'b'", "passed", 1, "b"),
        ("choice = ' B '", "passed", 1, "b"),
        ("choice = 'a'", "failed", 0, "a"),
        ("choice = 'C)'", "failed", 0, "c"),
        ("choice = None", "blank", 0, ""),
        ("choice = 'z'", "unusable", 0, ""),
        ("choice = {'b'}", "unusable", 0, ""),
        ("choice = 1 / 0", "raised", 0, ""),
    ],
)
def test_questions_are_graded(result, answer, state, points, got):
    found = result(f'{answer}\nquestion("pruning.l1_or_l2", choice)', "pruning.l1_or_l2")
    assert (found.state, found.points, found.got) == (state, points, got)
    assert state in JUDGED and (found.mistake or state in ("passed", "blank"))


def test_a_number_may_be_computed(result):
    found = result('question("pruning.bits_of_2_4", 100 * (2 * 16 + 2 * 2) / 64)', "pruning.bits_of_2_4")
    assert (found.state, found.got) == ("passed", "56.25")


def test_a_question_that_is_not_asked_is_unusable(result):
    assert result("choice = 'b'", "pruning.l1_or_l2").state == "unusable"


def test_the_same_seed_gives_the_same_grade_and_another_one_other_inputs(graded):
    wrong = notebook({ATTACKED: WRONG})
    assert graded(wrong, 5) == graded(wrong, 5)
    assert graded(wrong, 5) != graded(wrong, 6)


PRINTS_ITS_INPUTS = "def cubic_sparsity(step, steps, final):\n    print((step, steps, final))\n    return 0.0"
LOOKS_THEM_UP = """
TABLE = {table}

def cubic_sparsity(*inputs):
    return TABLE.get(inputs, 0.0)
"""


def inputs_of(graded, content) -> list[str]:
    """The inputs of an exercise, as an answer prints them."""
    return next(r.printed for r in graded(content).results if r.id == QUIET).splitlines()


def test_a_table_of_the_inputs_that_an_earlier_file_printed_earns_nothing(graded):
    printed = [ast.literal_eval(line) for line in inputs_of(graded, notebook({QUIET: PRINTS_ITS_INPUTS}))]
    table = {inputs: exercises()[QUIET].reference(*inputs) for inputs in printed}
    assert len(printed) == 16
    found = graded(notebook({QUIET: LOOKS_THEM_UP.format(table=table)}))
    assert next(r.points for r in found.results if r.id == QUIET) == 0


@pytest.mark.parametrize("change", ["another answer", "a comment", "an output", "a space at the end"])
def test_any_change_of_a_file_changes_its_inputs_and_the_same_file_with_the_same_seed_has_the_same(graded, change):
    before, after = notebook({QUIET: PRINTS_ITS_INPUTS}), notebook({QUIET: PRINTS_ITS_INPUTS})
    if change == "another answer":
        after = notebook({QUIET: PRINTS_ITS_INPUTS, ATTACKED: RIGHT})
    elif change == "a comment":
        after["cells"][0]["source"] = "# one more\n" + "".join(after["cells"][0]["source"])
    elif change == "an output":
        after["cells"][0]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "hello"}]
    else:
        after = json.dumps(after).encode() + b" "
    first = inputs_of(graded, before)
    assert first == inputs_of(graded, before) and first != inputs_of(graded, after)


BROKEN_CELLS = {
    "a syntax error": "def levels(scores, count)\n    return 1",
    "an endless loop": "while True: pass",
    "an error": "raise ValueError('no')",
    "an exit": "import sys; sys.exit(1)",
    "a blank": "def levels(scores, count):\n    raise NotImplementedError",
}
MENTIONS = {
    "a comment": "def l1_importance(weight):\n    # the levels come from these\n    return weight.abs().sum((1, 2, 3))",
    "a docstring": 'def l1_importance(weight):\n    """For levels."""\n    return weight.abs().sum((1, 2, 3))',
    "a text": "def l1_importance(weight):\n    print('levels')\n    return weight.abs().sum((1, 2, 3))",
    "its own name": "def l1_importance(weight):\n    levels = weight.abs()\n    return levels.sum((1, 2, 3))",
    "an argument": "def l1_importance(weight, levels=0):\n    return weight.abs().sum((1, 2, 3))",
    "an attribute": "class A: levels = 1\ndef l1_importance(weight):\n    A.levels; return weight.abs().sum((1, 2, 3))",
    "what never runs": "def l1_importance(weight):\n    if 0: levels(weight)\n    return weight.abs().sum((1, 2, 3))",
}


@pytest.mark.parametrize(
    ("mention", "cell"), [*((mention, "a syntax error") for mention in MENTIONS), ("a comment", "an endless loop")]
)
def test_another_answer_that_is_only_mentioned_does_not_run(result, mention, cell):
    assert result(MENTIONS[mention], **{"pruning.levels": BROKEN_CELLS[cell]}).state == "passed"


@pytest.mark.parametrize("cell", BROKEN_CELLS)
def test_an_answer_that_needs_a_broken_one_says_which(result, cell):
    found = result("def l1_importance(weight):\n    return levels(weight, 2)", **{"pruning.levels": BROKEN_CELLS[cell]})
    assert found.points == 0 and found.state != "passed"
    if cell in ("a syntax error", "an error", "an exit"):
        assert "name 'levels' can't be used: its own cell raised" in found.mistake
    if cell == "a blank":
        assert (found.state, "NotImplementedError" in found.mistake) == ("raised", True)


def test_an_answer_may_build_on_one_that_builds_on_another_and_each_has_its_own_helpers(result):
    levels = "def helper(x): return x.abs()\ndef levels(scores, count): return helper(cubic_sparsity(scores, 1, 1))"
    source = (
        "def helper(x):\n    return x.sum((1, 2, 3))\ndef l1_importance(weight):\n    return helper(levels(weight, 1))"
    )
    same = "def cubic_sparsity(step, steps, final):\n    return step"
    assert result(source, **{"pruning.levels": levels, QUIET: same}).state == "passed"


def test_answers_that_need_each_other_come_to_an_end(result):
    source = "def l1_importance(weight):\n    return levels(weight, 1)"
    levels = "cubic_sparsity\ndef levels(scores, count):\n    return scores.abs().sum((1, 2, 3))"
    assert result(source, **{"pruning.levels": levels, QUIET: "levels\nl1_importance"}).state == "passed"


STRAY = {
    "a trial call": "print(l1_importance(model[0].weight))",
    "a display": "display(l1_importance(torch.ones(1, 1, 1, 1)))",
    "the own check": f'check("{ATTACKED}", l1_importance)',
    "a wrong call": "l1_importance()",
    "an assertion": "assert l1_importance(torch.ones(2, 1, 1, 1)).sum() == 5",
    "an exit": "import sys\nsys.exit()",
    "an error": "1 / 0",
    "an endless loop": "while True: pass",
    "a crash": "import os\nos._exit(1)",
    "a lot of memory": "x = []\nwhile True: x.append(bytearray(1 << 24))",
    "a magic": "%timeit l1_importance(torch.ones(2, 1, 1, 1))",
    "a shell": "!ls",
    "help": "l1_importance?",
    "a plot": "import matplotlib.pyplot as plt\nplt.plot([1])",
    "a later helper": "print(model)\ndef helper(x):\n    return x",
}


@pytest.mark.parametrize("line", STRAY)
def test_what_follows_a_right_function_costs_nothing(result, line):
    body = "helper(weight)" if line == "a later helper" else "weight"
    found = result(f"def l1_importance(weight):\n    return {body}.abs().sum(dim=(1, 2, 3))\n\n{STRAY[line]}")
    assert (found.state, found.points) == ("passed", 2), found.mistake


@pytest.mark.parametrize(
    "line",
    [
        *("print(model)", "display(weight)", "weight = model[0].weight", "check('x', y)"),
        *("import pandas as pd", "from nnopt_lab.techniques import pruning", "open('data.csv')", "torch.nope", "1 / 0"),
        *("assert not torch.ones(1).sum()", "with open('log') as file:\n    pass", "torch.ones(2) @ torch.ones(3)"),
    ],
)
def test_what_works_in_the_notebook_only_costs_nothing_before_a_right_function(result, line):
    assert result(f"{line}\n{RIGHT}").state == "passed"


def test_a_question_is_answered_whatever_follows_it(result):
    found = result('question("pruning.l1_or_l2", "b")\nprint(model)\n1 / 0', "pruning.l1_or_l2")
    assert found.state == "passed"


def test_a_name_that_is_missing_in_the_function_itself_is_told(result):
    found = result("scale = model.scale\ndef l1_importance(weight):\n    return weight * scale")
    assert found.state == "raised" and "name 'scale' is not defined" in found.mistake


@pytest.mark.parametrize(
    "source",
    [
        "def l1_importance(weight):\n    return torch.compile(lambda w: w.abs().sum(dim=(1, 2, 3)))(weight)",
        "def l1_importance(weight):\n    import subprocess\n    subprocess.run(['ls'])",
    ],
)
def test_what_starts_processes_is_told_that_it_can_t(result, source):
    found = result(source)
    assert found.state in ("raised", "timed out") and found.mistake
    if found.state == "raised":
        assert "can't start other processes" in found.mistake


def test_a_right_answer_in_another_precision_earns_everything(sandbox, tmp_path):
    content = json.loads(paths("02_convolutions")[True].read_text(encoding="utf-8"))
    for cell in content["cells"]:
        if cell.get("id") == "exercise-convolutions-fold_batch_norm":
            source = "".join(cell["source"]).replace("def fold_batch_norm(", "def single(")
            cell["source"] = source + (
                "\n\ndef fold_batch_norm(weight, bias, gamma, beta, mean, var, eps):\n"
                "    return single(*(t.double() for t in (weight, bias, gamma, beta, mean, var)), eps)\n"
            )
    hand_in(tmp_path, "alice", content)
    found = grade(read(find([tmp_path])[0]), sandbox, 1)
    assert (found.state, sum(r.points for r in found.results)) == ("graded", lesson_points("02_convolutions"))


def endless(*_):
    while True:
        try:
            while True:
                pass
        except BaseException:  # as the course's own code around references does
            if len(stopped := endless.stopped) == 2:
                raise
            stopped.append(1)


@pytest.mark.parametrize("place", ["compare", "codec.unpack", "judge_answer"])
def test_the_judge_has_a_time_limit_of_its_own_for_each_answer(graded, monkeypatch, place):
    endless.stopped = []
    monkeypatch.setattr(judge, "JUDGE_SECONDS", 0.2)
    monkeypatch.setattr(f"nnopt_lab.grading.judge.{place}", endless)
    question = 'question("pruning.l1_or_l2", "b")'
    found = graded(notebook({ATTACKED: RIGHT, QUIET: "no", "pruning.l1_or_l2": question}))
    states = {r.id: r for r in found.results if r.state != "blank"}
    hit = states["pruning.l1_or_l2" if place == "judge_answer" else ATTACKED]
    assert (hit.state, hit.points) == ("timed out", 0) and "judging its result takes more than" in hit.mistake
    assert states[ATTACKED].points == (2 if place == "judge_answer" else 0)
    assert found.state == "partly graded"


FORGE = """
import os, sys, torch
codec = sys.modules["codec"]
def send(header, value, pack=codec.pack):
    body = pack(header, value)
    data = memoryview(len(body).to_bytes(8, "big") + body)
    while data: data = data[os.write(3, data):]
    os._exit(0)
"""
FORGED = {
    "a long print": "send({'outcomes': [{}] * 16, 'printed': 'p' * 15_000}, [[0, []]] * 16)",
    "endless prints": "send({'outcomes': [{}] * 16, 'printed': 'p' * 10_000_000}, [[0, []]] * 16)",
    "a long name": "send({'missing': 'm' * 15_000}, [])",
    "long arguments": "send({'accepts': 'a' * 15_000}, [])",
    "a long error": "send({'error': {'type': 't' * 9_000, 'message': 'm' * 9_000, 'line': 1}}, [])",
    "endless errors": "send({'error': {'type': 't' * 10**6, 'message': 'm' * 10**6, 'line': 10**300}}, [])",
    "long results": "send({}, [['r' * 5_000, []]] * 16)",
    "endless results": "send({}, [['r' * 19_000] * 800] * 16)",
    "many results": "send({}, [[[0] * 19_000, []]] * 16)",
    "one tensor many times": "t = torch.zeros(1 << 20)\nsend({}, [[[t] * 4, []]] * 1)",
    "nested results": "x = 'a'\nfor _ in range(11): x = [x, x]\nsend({}, [[x, []]] * 16)",
    "a tensor of 22 dimensions": "send({}, [[torch.zeros([2] * 22, dtype=torch.bool), []]] * 16)",
}


@pytest.mark.parametrize("what", FORGED)
def test_a_forged_reply_costs_little_time_and_little_room(graded, what):
    found = graded(notebook({ATTACKED: FORGE + FORGED[what], QUIET: RIGHT_QUIET}))
    points = {r.id: r.points for r in found.results if r.state != "blank"}
    assert points == {ATTACKED: 0, QUIET: 2}
    assert len(found.to_json()) < 30_000


def test_a_fault_of_the_grader_costs_at_most_one_answer(graded, monkeypatch):
    whole = judge.compare

    def faulty(exercise, *arguments):
        if exercise.id == ATTACKED:
            raise ZeroDivisionError("of ours")
        return whole(exercise, *arguments)

    monkeypatch.setattr(judge, "compare", faulty)
    found = graded(notebook({ATTACKED: RIGHT, QUIET: RIGHT_QUIET}))
    states = {r.id: (r.state, r.points) for r in found.results if r.state != "blank"}
    assert states == {ATTACKED: ("crashed", 0), QUIET: ("passed", 2)}
    assert found.state == "partly graded" and "The grader itself failed: ZeroDivisionError" in found.reason


BEHIND = {  # what an answer may leave behind in the process that the next ones of its notebook run in, too
    "another dtype": "import torch\ntorch.set_default_dtype(torch.float16)",
    "no gradients": "import torch\ntorch.set_grad_enabled(False)",
    "a patched method": "import torch\ntorch.Tensor.abs = torch.Tensor.sum = lambda *a, **k: torch.zeros(1)",
    "patched builtins": "import builtins\nbuiltins.len = builtins.range = lambda *a: 1 / 0",
    "a patched codec": "import sys\nsys.modules['codec'].pack = lambda *a: b'passed'",
    "no modules": "import sys\nsys.modules.clear()",
    "a closed channel": "import os, threading\nthreading.Timer(0.05, os.close, [3]).start()",
    "noise": "import os, threading\nthreading.Timer(0.01, os.write, [3, bytes(999)]).start()",
    "a late end": "import os, threading\nthreading.Timer(0.02, os._exit, [0]).start()",
    "a full memory": "kept = []\ntry:\n    while True: kept.append(bytearray(1 << 20))\nexcept MemoryError: pass",
    "a busy thread": "import threading\ndef loop():\n    while True: pass\nthreading.Thread(target=loop).start()",
    "an error": "1 / 0",
    "an end": "import os\nos._exit(0)",
}


@pytest.mark.parametrize("what", BEHIND)
def test_what_an_answer_leaves_behind_costs_the_others_nothing(graded, what):
    content, first = solved(), next(iter(exercises(LESSON)))
    cell = next(cell for cell in content["cells"] if cell.get("id") == cell_id("exercise", first))
    cell["source"] = f"{BEHIND[what]}\n{''.join(cell['source'])}"
    found = graded(content)
    others = [r for r in found.results if r.id != first]
    assert len(others) > 5
    assert [(r.id, r.state) for r in others if r.points < r.possible or r.state != "passed"] == []


def test_what_does_not_pass_is_told_as_if_it_were_the_only_answer(graded):
    wrong = {
        "pruning.levels": "def levels(scores, count):\n    return scores[:count]",
        QUIET: "def cubic_sparsity(step, steps, final):\n    print('here')\n    return final / 0",
        "pruning.l1_or_l2": 'question("pruning.l1_or_l2", "a")',
    }
    patch = "import torch\ntorch.Tensor.__getitem__ = lambda *a: 1 / 0\nprint = None\n"
    found = graded(notebook({ATTACKED: patch + RIGHT, **wrong}))
    for id, source in wrong.items():
        result = next(r for r in found.results if r.id == id)
        single = next(r for r in graded(notebook({id: source})).results if r.id == id)
        assert (result.state, result.points, result.printed) == (single.state, single.points, single.printed)
        assert result.state not in ("passed", "blank")


NEEDING = "def l1_importance(weight):\n    return helper(weight)"
HELPER = "def helper(w): return w.abs().sum(AXES)"
AXES = "AXES = (1, 2, 3)"


def cell(source: str) -> dict:
    return {"cell_type": "code", "id": "own", "metadata": {}, "outputs": [], "execution_count": None, "source": source}


@pytest.fixture
def with_cells(graded):
    """The result of an answer in a notebook with other code cells before and after it."""

    def of(source, before=(), after=(), **others):
        content = notebook({ATTACKED: source, **others})
        place = next(n for n, c in enumerate(content["cells"]) if c["id"] == cell_id("exercise", ATTACKED))
        content["cells"][place + 1 : place + 1] = map(cell, after)
        content["cells"][place:place] = map(cell, before)
        return next(r for r in graded(content).results if r.id == ATTACKED)

    return of


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([AXES, HELPER], []),
        ([HELPER], [AXES]),
        ([], [f"{HELPER}\n{AXES}"]),
        (["def helper(w): 1 / 0", f"%%time\n{AXES}\n{HELPER}\nplot(helper)"], ["def helper(w): return w"]),
        (["from nnopt_lab.course import *\nimport math as m", "AXES = 1, 2, m.isqrt(9)"], [HELPER]),
        ([f"\ufeff  {HELPER}\n  {AXES}", "model.fit()"], []),
        (["while True: pass\nAXES = 0", f"{HELPER}\n{AXES}\nhelper(model)"], []),
        (["class Scores:\n    def __call__(self, w): return w.abs().sum(AXES)\nhelper = Scores()", AXES], []),
    ],
)
def test_an_answer_may_use_what_other_cells_define(with_cells, before, after):
    assert with_cells(NEEDING, before, after).state == "passed"


@pytest.mark.parametrize("id", [QUIET, "pruning.levels", "pruning.l1_or_l2"])
def test_an_answer_may_use_a_helper_of_another_answers_cell(with_cells, id):
    answers = {QUIET: RIGHT_QUIET, "pruning.levels": "", "pruning.l1_or_l2": 'question("pruning.l1_or_l2", "b")'}
    assert with_cells(NEEDING, [], [], **{id: f"{AXES}\n{HELPER}\n{answers[id]}"}).state == "passed"


def test_a_constant_that_the_cell_itself_needs_may_stand_elsewhere(with_cells):
    assert with_cells(f"axes = AXES[:]\n{RIGHT.replace('(1, 2, 3)', 'axes')}", [AXES]).state == "passed"
    assert with_cells("l1_importance = helper", [HELPER, AXES]).state == "passed"


@pytest.mark.parametrize(
    "helper", ["def helper(w): return w", "def helper(w): return nowhere(w)", "helper = 1 / 0", "x = 1"]
)
def test_a_helper_that_is_wrong_earns_nothing(with_cells, helper):
    found = with_cells(NEEDING, [helper])
    assert found.points == 0 and found.state in ("failed", "raised") and found.mistake


def test_a_helper_that_changes_the_input_is_seen(with_cells):
    found = with_cells(NEEDING, ["def helper(w): return w.abs_().sum((1, 2, 3))"])
    assert (found.state, found.points) == ("partly right", 1)


FORMS = {"timed": f"%%time\n{RIGHT}", "captured": f"%%capture\n\n{RIGHT}", "marked": f"\ufeff{RIGHT}"}
FORMS["indented"] = "\n".join(f"    {line}" for line in RIGHT.split("\n"))


@pytest.mark.parametrize("form", FORMS)
def test_an_answers_cell_may_look_as_ipython_takes_it(result, form):
    assert result(FORMS[form]).state == "passed"
