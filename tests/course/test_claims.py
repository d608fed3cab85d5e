"""Claims on a terminal and in a notebook: three marks, and what is folded."""

import re

import pytest
import torch
from IPython.core.interactiveshell import InteractiveShell

from nnopt_lab.course import claims, timing_claims
from nnopt_lab.course.calls import claim, lesson
from nnopt_lab.course.claims import Further, Statement
from nnopt_lab.course.record import NOT_JUDGED, read


@pytest.fixture(autouse=True)
def on_a_quiet_machine(monkeypatch):
    monkeypatch.setattr(timing_claims, "is_busy", lambda: False)


def marked_lines(capsys):
    """The printed claims, without their notes."""
    return [line for line in capsys.readouterr().out.splitlines() if not line.startswith(" ")]


def test_claims_are_printed_and_noted_under_the_lesson_that_is_open(capsys, own_workspace):
    claim("two and two", 2 + 2 == 4)
    lesson("01_pruning")
    claim("three and three", 3 + 3 == 7)
    claim("a tensor's truth", torch.tensor(True))
    claim("only with AMX", False, where=(False, "no AMX"))
    assert marked_lines(capsys) == [
        "✔ two and two",
        "✘ three and three",
        "✔ a tensor's truth",
        "○ only with AMX (does not apply here: no AMX)",
    ]
    assert read(own_workspace)["claims"] == {
        "00_start_here": {"two and two": True},
        "01_pruning": {"three and three": False, "a tensor's truth": True, "only with AMX": None},
    }
    claim("three and three", 3 + 3 == 6)
    claim("only with AMX", True, where=(True, "no AMX"))
    assert read(own_workspace)["claims"]["01_pruning"]["three and three"] is True
    assert read(own_workspace)["claims"]["01_pruning"]["only with AMX"] is True


def test_claims_are_shown_in_the_language_in_use_and_recorded_in_english(capsys, own_workspace, chinese):
    chinese(
        {
            "two and two": "二加二",
            "{0} and three": "{0} 加三",
            "no AMX": "没有 AMX",
            "{claim} (does not apply here: {reason})": "{claim}（这里不适用：{reason}）",
        }
    )
    claim("two and two", True)
    claim("7 and three", False)
    claim("two and two.", False, where=(False, "no AMX"))
    claim("not known", True)
    assert marked_lines(capsys) == [
        "✔ 二加二",
        "✘ 7 加三",
        "○ 二加二。（这里不适用：没有 AMX）",
        "✔ not known",
    ]
    recorded = read(own_workspace)["claims"]["00_start_here"]
    assert recorded == {"two and two": True, "7 and three": False, "two and two.": None, "not known": True}


def test_a_condition_that_is_a_function_is_called_only_where_the_claim_applies(capsys):
    claim("of an engine that is not there", lambda: 1 / 0, where=(None, "no engine"))
    claim("of one that is", lambda: 1 > 2, where=([1], "no engine"))
    assert [line[0] for line in marked_lines(capsys)] == ["○", "✘"]


def test_a_false_claim_on_times_says_what_may_have_disturbed_it(capsys):
    claim("faster", True, timing=True)
    claim("slower", True, where=(False, "one core"), timing=True)
    assert "measured times" not in capsys.readouterr().out
    claim("faster", False, timing=True)
    said = capsys.readouterr().out
    assert said.startswith("✘ [timed] faster\n") and "another program" in said and "run" in said


def test_a_false_claim_says_what_to_do_next(capsys, monkeypatch):
    claim("exact", False)
    said = capsys.readouterr().out
    assert said.startswith("✘ exact\n") and "cells above again" in said and "processor" in said
    monkeypatch.setenv("NNOPT_SMOKE", "1")
    claim("exact", False)
    assert "short run (`NNOPT_SMOKE=1`)" in capsys.readouterr().out


def test_a_claim_on_times_is_recorded_apart_from_the_others(own_workspace):
    claim("it is faster", True)
    claim("it is smaller", True)
    claim("it is faster", False, timing=True)
    claim("with AMX", False, where=(False, "no AMX"), timing=True)
    found = read(own_workspace)
    assert found["claims"] == {"00_start_here": {"it is smaller": True}}
    assert found["timing_claims"] == {"00_start_here": {"it is faster": False, "with AMX": None}}


def test_on_a_busy_machine_a_claim_on_times_is_not_judged_whatever_it_is(monkeypatch, capsys, own_workspace):
    monkeypatch.setattr(timing_claims, "is_busy", lambda: True)
    claim("faster", True, timing=True)
    claim("slower", False, timing=True)
    claim("never called", lambda: 1 / 0, timing=True)
    claim("elsewhere", True, where=(False, "no AMX"), timing=True)
    claim("exact", 3 > 2)
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if not line.startswith(" ")] == [
        "○ [timed] faster (not judged: busy)",
        "○ [timed] slower (not judged: busy)",
        "○ [timed] never called (not judged: busy)",
        "○ [timed] elsewhere (does not apply here: no AMX)",
        "✔ exact",
    ]
    assert "Close them" in lines[1]
    found = read(own_workspace)["timing_claims"]["00_start_here"]
    assert list(found.values()) == [NOT_JUDGED] * 3 + [None]


@pytest.mark.parametrize("where", [True, "AMX", ("no AMX", False), (True,), [True, "no AMX"], (True, "a", "b")])
def test_where_that_is_no_pair_is_refused(where, own_workspace):
    with pytest.raises(ValueError, match="where="):
        claim("text", True, where=where)
    assert not read(own_workspace)["claims"]


@pytest.mark.parametrize("text", ["", " ", None, 3])
def test_a_claim_without_text_is_refused(text):
    with pytest.raises(ValueError, match="text="):
        claim(text, True)


@pytest.mark.parametrize(
    ("states", "summary"),
    [
        ([True], "✔ 1 further claim is true"),
        ([True] * 8, "✔ 8 further claims are true"),
        ([True, True, None], "✔ 2 further claims are true; 1 does not apply here"),
        ([True, None, None], "✔ 1 further claim is true; 2 do not apply here"),
        ([None], "○ 1 further claim does not apply here"),
        ([None, None], "○ 2 further claims do not apply here"),
    ],
)
def test_the_summary_counts_what_holds_and_apart_from_it_what_does_not_apply(states, summary):
    timed = Further(tuple(Statement(f"{i} < 9", state, timing=True) for i, state in enumerate(states)))
    assert timed.summary == summary.replace(" further claim", " further timing claim")
    further = Further(tuple(Statement(f"{i} < 9", state) for i, state in enumerate(states)))
    assert further.summary == summary
    assert repr(further).splitlines()[0] == summary and len(repr(further).splitlines()) == 1 + len(states)
    page = further._repr_html_()
    assert f"{summary}</summary>" in re.sub("</?strong[^>]*>", "", page) and "0 &lt; 9" in page


def test_false_claims_on_times_stand_above_the_fold_and_are_not_counted():
    timed = [Statement(f"claim {i}", state, timing=True) for i, state in enumerate((True, False, True))]
    assert Further(tuple(timed)).summary == "✔ 2 further timing claims are true"
    page = Further(tuple(timed))._repr_html_()
    assert page.index("claim 1") < page.index("<details") < page.index("claim 0")
    alone = Further((timed[1],))
    assert "claim 1" in alone._repr_html_() and "<details" not in alone._repr_html_()


def test_the_summary_counts_claims_on_times_apart_with_those_that_were_not_judged():
    exact = [Statement("a", True), Statement("b", None)]
    timed = [Statement(str(i), state, timing=True) for i, state in enumerate((True, NOT_JUDGED, None, NOT_JUDGED))]
    expected = (
        "✔ 1 further claim is true; 1 does not apply here · "
        "✔ 1 further timing claim is true; 1 does not apply here; 2 not judged: busy"
    )
    assert Further((*exact, *timed)).summary == expected
    assert Further(tuple(timed[1:2])).summary == "○ 1 further timing claim not judged: busy"


@pytest.mark.parametrize(("holds", "mark"), [(True, "✔"), (False, "✘"), (None, "○"), (NOT_JUDGED, "○")])
def test_a_notebook_shows_a_claim_as_prose_with_its_mark(holds, mark):
    page = Statement("a < b & c", holds, "run <again>")._repr_html_()
    text = " ".join(re.sub("<[^>]*>", " ", page).split())
    assert text == f"{mark} a &lt; b &amp; c run &lt;again&gt;" and "<pre" not in page and "monospace" not in page


@pytest.fixture
def cell(monkeypatch, capsys):
    """Runs a notebook's cell; gives the lines of its claims and the fold of the others."""
    shell, displayed = InteractiveShell(), []
    monkeypatch.setattr(claims, "shell", lambda: shell)
    monkeypatch.setattr("IPython.display.display", displayed.append)
    shell.push({"claim": claim})
    capsys.readouterr()

    def run(source):
        displayed.clear()
        shell.run_cell(source)
        assert "✔" not in capsys.readouterr().out
        lines = [line for shown in displayed if isinstance(shown, Statement) for line in str(shown).splitlines()]
        return lines, [shown for shown in displayed if not isinstance(shown, Statement)]

    return run


def test_a_cell_shows_three_claims_and_folds_the_others(cell, own_workspace):
    source = "for i in range({0}): claim(f'claim {{i}}', True)"
    for count in range(4):
        assert cell(source.format(count)) == ([f"✔ claim {i}" for i in range(count)], [])
    for count in (4, 11, 11):  # a cell that is run again shows the same
        printed, (further,) = cell(source.format(count))
        assert printed == ["✔ claim 0", "✔ claim 1", "✔ claim 2"]
        assert further.claims == tuple(Statement(f"claim {i}", True) for i in range(3, count))
    assert len(read(own_workspace)["claims"]["00_start_here"]) == 11


def test_a_claim_that_does_not_hold_is_shown_wherever_it_stands(cell):
    printed, (further,) = cell("for i in range(8): claim(f'claim {i}', i != 6)")
    assert [line for line in printed if line[0] != " "] == ["✔ claim 0", "✔ claim 1", "✔ claim 2", "✘ claim 6"]
    assert further.summary == "✔ 4 further claims are true" and "claim 6" not in further._repr_html_()
    _, folds = cell("for i in range(5): claim(f'claim {i}', i < 3)")
    assert not folds


def test_false_claims_of_a_cell_say_once_what_to_do(cell):
    printed, _ = cell("for i in range(5): claim(f'claim {i}', False)")
    assert "\n".join(printed).count("again, in order") == 1


@pytest.mark.parametrize("state", ["true", "false", "busy"])
def test_a_cell_has_as_many_outputs_whatever_its_claims_on_times_are(cell, state, monkeypatch):
    monkeypatch.setattr(timing_claims, "is_busy", lambda: state == "busy")
    source = "for i in range(8): claim(f'claim {i}', i %% 2 or %s, timing=not i %% 2)" % (state == "true")
    printed, (further,) = cell(source)
    mark = {"true": "✔", "false": "✘", "busy": "○"}[state]
    assert [line[0] for line in printed if line[0] != " "] == [mark, "✔", mark]
    assert len(further.claims) == 5 and further.summary.startswith("✔ 3 further claims are true")
    page = further._repr_html_()
    before_the_fold = page[: page.index("<details")]
    assert before_the_fold.count("✘") == (2 if state == "false" else 0) and "claim 5" not in before_the_fold
    assert page.count('class="nnopt-timing"') == 2


def test_a_busy_cell_says_once_what_to_do(cell, monkeypatch):
    monkeypatch.setattr(timing_claims, "is_busy", lambda: True)
    printed, _ = cell("for i in range(3): claim(f'claim {i}', True, timing=True)")
    assert "\n".join(printed).count("Close them") == 1


def test_a_cell_that_fails_half_way_leaves_nothing_for_the_next(cell):
    printed, (further,) = cell("for i in range(5): claim(f'claim {i}', True)\n1 / 0")
    assert "2 further" in further.summary and printed[:3] == ["✔ claim 0", "✔ claim 1", "✔ claim 2"]
    assert cell("claim('next', True)") == (["✔ next"], [])


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("`to_int8` is off by half a step.", "<code>to_int8</code> is off by half a step."),
        ("`to_int8` 还原的*权重*", "<code>to_int8</code> 还原的<strong>权重</strong>"),
        ("`a < b` holds", "<code>a &lt; b</code> holds"),
        ("3*4*5, a * b and an odd ` stay", "3*4*5, a * b and an odd ` stay"),
    ],
)
def test_code_in_a_claim_is_shown_as_code_in_a_page_and_with_its_signs_as_text(text, shown):
    for page in (Statement(text, True)._repr_html_(), Further((Statement(text, True),))._repr_html_()):
        assert f"</strong> {shown}</div>" in page
    assert repr(Statement(text, True)) == f"✔ {text}"
