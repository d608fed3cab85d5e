"""The check of an answer: every kind of mistake is named, and nothing that an answer does can break it."""

import linecache
import math
from textwrap import dedent

import pytest
import torch

from nnopt_lab.course import checking
from nnopt_lab.course.checking import examine, judge_answer
from nnopt_lab.course.exercises import Exercise, Property, Question, WrongAnswer


def exercise(reference, generate=lambda g: (torch.randn(2, 3, generator=g),), **changes) -> Exercise:
    fields = {"id": "x.answer", "lesson": "00_start_here", "title": "t", "points": 1, "hints": ("1", "2", "3")}
    fields |= {"reference": reference, "generate": generate, "wrong_answers": (), "debrief": "d"}
    return Exercise(**(fields | changes))


def double(x):
    return 2 * x


DOUBLE = exercise(double)


def test_a_right_answer_passes_and_a_wrong_one_shows_inputs_result_and_what_was_wanted():
    assert examine(DOUBLE, lambda x: x + x).passed
    verdict = examine(DOUBLE, lambda x: 3 * x, seeds=[1])
    assert (verdict.state, verdict.wrong_answer) == ("failed", None)
    assert "Every value is 1.5 times the expected one" in verdict.mistake
    assert verdict.inputs.keys() == {"x"} and verdict.inputs["x"].startswith("float32 [2, 3]:")
    assert verdict.got != verdict.wanted


def test_inputs_are_fresh_at_every_check_and_repeatable_by_their_seeds():
    seen = []
    examine(DOUBLE, lambda x: seen.append(x) or 2 * x)
    examine(DOUBLE, lambda x: seen.append(x) or 2 * x)
    assert len({tuple(x.flatten().tolist()) for x in seen}) == 2 * checking.CASES
    again = [examine(DOUBLE, lambda x: x, seeds=[7]) for _ in range(2)]
    assert again[0] == again[1]


def test_an_answer_that_is_right_only_sometimes_fails_with_an_input_where_it_is_wrong():
    halves = exercise(lambda n: n / 2, lambda g: (int(torch.randint(0, 9, (), generator=g)),))
    verdict = examine(halves, lambda n: n // 2, seeds=range(20))
    assert verdict.state == "failed" and int(verdict.inputs["n"]) % 2


def test_a_known_wrong_answer_gets_its_own_sentence_only_if_it_behaves_so_on_all_inputs():
    squares = exercise(
        lambda n: n * n,
        lambda g: (int(torch.randint(0, 5, (), generator=g)),),
        wrong_answers=(
            WrongAnswer(lambda n: 1 / 0, "never: it raises"),
            WrongAnswer(lambda n: 2 * n, "That is twice the number."),
        ),
    )
    verdict = examine(squares, lambda n: n + n, seeds=range(20))
    assert (verdict.wrong_answer, verdict.mistake) == (1, "That is twice the number.")
    other = examine(squares, lambda n: 2 * n if n < 4 else 0, seeds=range(20))
    assert other.wrong_answer is None and other.mistake != "That is twice the number."


def test_the_inputs_shown_are_some_that_only_the_named_mistake_explains():
    largest = exercise(
        lambda x: x.abs().max().round(),
        lambda g: (10 * torch.randn(3, generator=g),),
        wrong_answers=(
            WrongAnswer(lambda x: x.abs().max().floor(), "not rounded"),
            WrongAnswer(lambda x: x.max().floor(), "neither the magnitude nor rounded"),
        ),
    )
    for start in range(0, 200, 20):
        verdict = examine(largest, lambda x: x.max().floor(), seeds=range(start, start + 20))
        shown = largest.generate(torch.Generator().manual_seed(start + verdict.case))[0]
        assert verdict.mistake == "neither the magnitude nor rounded" and shown.abs().max() > shown.max()


def test_no_known_wrong_answer_runs_twice_on_the_same_inputs():
    seen = []

    def wrong(x):
        seen.append(x)
        return 5 * x

    asked = exercise(double, wrong_answers=(WrongAnswer(wrong, "Five times."),))
    assert not examine(asked, lambda x: x.sin()).passed
    assert len({x.sum().item() for x in seen}) == len(seen) <= checking.CASES


def test_a_known_wrong_answer_that_works_in_place_is_not_mistaken_for_one_that_does_not():
    thrice = exercise(double, wrong_answers=(WrongAnswer(lambda x: x.mul_(3), "Three times, and in place."),))
    assert examine(thrice, lambda x: x.mul_(3)).wrong_answer == 0
    assert examine(thrice, lambda x: 3 * x).wrong_answer is None


def test_an_answer_that_changes_its_input_in_place_fails_though_its_result_is_right():
    verdict = examine(DOUBLE, lambda x: x.mul_(2))
    assert verdict.state == "failed" and "changed its input `x` in place" in verdict.mistake
    lists = exercise(lambda xs: sum(xs), lambda g: (torch.randn(3, generator=g).tolist(),))
    assert "changed its input `xs`" in examine(lists, lambda xs: sum(xs.pop() for _ in range(len(xs)))).mistake
    nans = exercise(lambda x, y: 1, lambda g: (math.nan, torch.tensor([math.nan])))
    assert examine(nans, lambda x, y: 1).passed


def test_properties_hold_besides_the_reference_and_compare_takes_its_place():
    short = exercise(double, properties=(Property("It must keep two rows.", lambda result, x: len(result) == 3),))
    assert examine(short, double).mistake == "It must keep two rows."
    any_sign = exercise(
        double, compare=lambda got, wanted, x: None if torch.equal(got.abs(), wanted.abs()) else "The size is wrong."
    )
    assert examine(any_sign, lambda x: -2 * x).passed
    assert examine(any_sign, lambda x: x).mistake == "The size is wrong."
    assert "axes are reversed" in examine(any_sign, lambda x: (2 * x).T).mistake
    assert "returned nothing" in examine(any_sign, lambda x: None).mistake


def test_an_untouched_stub_is_blank_but_an_operation_that_torch_lacks_is_a_mistake():
    def stub(x):
        raise NotImplementedError

    def lacking(x):
        return x.int().softmax(0)

    assert examine(DOUBLE, stub).state == "blank"
    with pytest.raises(NotImplementedError):
        lacking(torch.ones(2))
    verdict = examine(DOUBLE, lacking)
    assert verdict.state == "raised" and "`return x.int().softmax(0)`" in verdict.mistake


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (torch.ones(2), "needs your function itself, not its result: check('x.answer', double); it got Tensor."),
        (None, "it got NoneType."),
        (lambda: 1, "double must accept the arguments (x); yours accepts ()."),
        (lambda x, y: 1, "yours accepts (x, y)."),
    ],
)
def test_what_can_not_be_called_as_asked_is_said_before_it_is_called(answer, sentence):
    verdict = examine(DOUBLE, answer)
    assert verdict.state == "unusable" and sentence in verdict.mistake


def test_more_arguments_with_defaults_and_functions_without_a_signature_are_welcome():
    assert examine(DOUBLE, lambda x, factor=2: factor * x).passed
    assert examine(exercise(lambda a, b: max(a, b), lambda g: (1, 2)), max).passed


def cell(source: str, name: str = "/tmp/ipykernel_1/3.py", **names):
    """The function `answer` of a notebook cell, known to linecache as IPython makes it known."""
    source = dedent(source).strip() + "\n"
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    names |= {"torch": torch}
    exec(compile(source, name, "exec"), names)
    return names["answer"]


@pytest.mark.parametrize(
    ("source", "line", "message"),
    [
        ("def answer(x):\n    y = 1 / 0\n    return y", "2, `y = 1 / 0`", "ZeroDivisionError: division by zero"),
        ("def answer(x):\n    return x @ x", "2, `return x @ x`", "RuntimeError: mat1 and mat2"),
        (
            "def answer(x):\n    layer = torch.nn.Conv2d(3, 4, 1, groups=2)\n    return x",
            "2, `layer = torch.nn.Conv2d(3, 4, 1, groups=2)`",
            "ValueError: in_channels must be divisible by groups",
        ),
        (
            "def answer(x):\n    import statistics\n    return statistics.median([])",
            "3, `return statistics.median([])`",
            "StatisticsError",
        ),
        (
            "from nnopt_lab.course.workspace import restore\ndef answer(x):\n    restore('nothing', x)",
            "3, `restore('nothing', x)`",
            "FileNotFoundError",
        ),
        (
            "def helper(x):\n    raise KeyError('k')\ndef answer(x):\n    return helper(x)",
            "2, `raise KeyError('k')`",
            "KeyError: 'k'",
        ),
        ("def answer(x):\n    assert False", "2, `assert False`", "AssertionError: no message"),
        ("def answer(x):\n    return answer(x)", "2, `return answer(x)`", "RecursionError"),
        ("def answer(x):\n    raise SystemExit(3)", "2, `raise SystemExit(3)`", "SystemExit: 3"),
        ("def answer(x):\n    raise ValueError('one\\ntwo')", "2, ", "ValueError: one"),
    ],
)
def test_an_error_is_shown_with_the_learners_own_line_and_no_frame_of_ours(source, line, message):
    verdict = examine(DOUBLE, cell(source))
    assert verdict.state == "raised"
    assert verdict.mistake.startswith(f"Your line {line}")
    assert f"raised {message}" in verdict.mistake
    assert "\n" not in verdict.mistake and "checking" not in verdict.mistake
    assert verdict.inputs.keys() == {"x"}


def test_a_package_of_the_operating_system_is_foreign_too():
    theirs = cell("def answer(x):\n    raise OSError('no')", "/usr/lib/python3/dist-packages/theirs.py")
    verdict = examine(DOUBLE, cell("def answer(x):\n    return theirs(x)", theirs=theirs))
    assert verdict.mistake == "Your line 2, `return theirs(x)`, raised OSError: no"


def test_an_error_without_a_line_of_the_learners_is_shown_all_the_same():
    verdict = examine(exercise(lambda x: 1, lambda g: ("a",)), int)
    assert verdict.mistake.startswith("Your function raised ValueError: invalid literal")


def test_ctrl_c_comes_through():
    def answer(x):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        examine(DOUBLE, answer)


class Unprintable:
    def __repr__(self):
        raise RuntimeError("no")


@pytest.mark.parametrize(
    "value",
    [Unprintable(), [Unprintable()], pytest.param(10**5000, id="5001 digits"), torch.ones(2, device="meta"), object],
)
def test_whatever_an_answer_returns_the_verdict_comes(value):
    verdict = examine(DOUBLE, lambda x: value)
    assert verdict.state == "failed" and verdict.got


class BadError(Exception):
    def __str__(self):
        raise RuntimeError("no")


class BadSignature:
    __signature__ = 5

    def __call__(self, x):
        return 2 * x


def raises(error):
    def answer(x):
        raise error

    return answer


def with_a_default(default):
    def answer(x, y, z=default):
        return x

    return answer


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (raises(BadError()), "raised"),
        (raises(ValueError("\n")), "raised"),
        (raises(ValueError("half a character: \ud800")), "raised"),
        (raises(SystemExit()), "raised"),
        (BadSignature(), "passed"),
        (with_a_default(Unprintable()), "raised"),
        (type("", (), {}), "unusable"),
    ],
)
def test_whatever_an_answer_is_and_raises_the_verdict_comes(answer, state):
    verdict = examine(DOUBLE, answer)
    assert verdict.state == state and bool(verdict.mistake) == (state != "passed")
    verdict.mistake.encode()


def test_a_property_that_can_t_look_at_a_result_costs_that_answer_only():
    def needs_floats(result, x):
        return bool((result @ torch.ones(3) < 100).all())

    strict = exercise(double, properties=(Property("They must be small.", needs_floats, credit=0.5),))
    assert examine(strict, double).passed
    assert examine(strict, lambda x: 2 * x.double()).passed
    verdict = examine(strict, lambda x: x.int())
    assert (verdict.state, verdict.credit) == ("failed", 0)
    faulty = exercise(double, properties=(Property("It must be fine.", lambda result, x: 1 / 0),))
    assert examine(faulty, double).mistake == "It must be fine."
    several = exercise(double, properties=(Property("It must be fine.", lambda result, x: result > 0),))
    assert examine(several, double).mistake == "It must be fine."


def test_a_comparison_that_can_t_look_at_a_result_leaves_it_to_the_reference():
    def faulty(got, wanted, x):
        raise ZeroDivisionError

    unlucky = exercise(double, compare=faulty)
    assert examine(unlucky, double).passed
    assert "times the expected one" in examine(unlucky, lambda x: 3 * x).mistake


def test_where_several_pairs_are_right_a_list_is_as_good_as_a_tuple():
    halves = exercise(
        lambda x: (x / 2, x / 2), compare=lambda got, wanted, x: None if torch.allclose(sum(got), x) else "Not x."
    )
    assert examine(halves, lambda x: [x / 4, 3 * x / 4]).passed
    assert examine(halves, lambda x: [x, x]).mistake == "Not x."


def test_a_letter_counts_however_it_is_written():
    asked = Question("x.q", "00_start_here", 1, "?", "b", "!", {"a": "A", "b": "B"}, {"a": "No."})
    assert [judge_answer(asked, given) for given in ("b", " B ", "b)", "b.", "a)", "c", "", 2)] == [
        *[True] * 4, False, *[None] * 3,
    ]  # fmt: skip
    assert asked.comment_on("A)") == "No."


def test_only_texts_are_read_as_letters_since_a_large_tensor_takes_minutes_to_print(monkeypatch):
    asked, printed = Question("x.q", "00_start_here", 1, "?", "b", "!", {"a": "A", "b": "B"}), []
    monkeypatch.setattr(torch.Tensor, "__repr__", lambda tensor, **_: printed.append(tensor) or "b")
    given = (torch.zeros(6, 6, 6), torch.zeros(()), ["b"], 1, None)
    assert [judge_answer(asked, answer) for answer in given] == [None] * 5 and not printed


def test_a_number_is_compared_exactly_however_large_it_is():
    asked = Question("x.q", "00_start_here", 1, "?", 2**53 + 1, "!")
    given = (2**53 + 1, 2**53, 2.0**53, str(2**53), torch.tensor(2**53 + 2), math.nan, math.inf, 10**400, "a", [])
    assert [judge_answer(asked, g) for g in given] == [True, *[False] * 6, *[None] * 3]
