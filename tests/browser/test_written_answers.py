"""What a press of a question's button makes of the code in the question's cell, whatever the learner has made of it."""

import ast

import pytest

from nnopt_lab.course.server_settings import LAB_EXTENSIONS

ID = "start.three_percent"
MODULE = LAB_EXTENSIONS / "nnopt-lab" / "static" / "answers.js"
CALL = f'question("{ID}", choice)'
CODES = [
    f"choice = None\n{CALL}",
    f'choice = "a"\n{CALL}',
    f"choice = 'b'  # I think\n{CALL}",
    f"choice = 13.9\n\n{CALL}\n",
    f"choice=-1_000.5e-3\n{CALL}",
    f'choice = "a" if 1 < 2 else "b"\n{CALL}',
    f'choice = (\n    "a"\n)\n{CALL}',
    f'choice = "a"\nchoice = "b"\n{CALL}\nprint(choice)',
    f'choice = "a"; {CALL}',
    f"if True:\n    choice = None\n    {CALL}",
    f"if True:\n    {CALL}",
    f"# choice = None\n# {CALL}\n{CALL}",
    f'question("{ID}", None)',
    f'question("{ID}")',
    f"question('{ID}', \"b\")",
    f'question( "{ID}", "b" )',
    f'question("{ID}", "(b)")  # a guess',
    f'question("{ID}", 100 * (2 + 3) / 4)  # computed',
    f'question(\n    "{ID}",\n    max(1, (2)),\n)\nx = 1',
    f'question("{ID}",\n    "b",\n)',
    f'card = question("{ID}", choice)\ncard',
    f'question("start.other", "a")\nquestion("{ID}", choice)',
    f'question("{ID}", "a")\nquestion("{ID}", "b")',
    "",
    "x = 3",
    "# nothing here",
    'question("start_three_percent", "a")',
    f'question("{ID}", choice.lower())',
]


@pytest.fixture(scope="module")
def written(browser):
    """A function of a cell's code and an answer → the new code, and the answer that it is seen to give."""
    page = browser.new_page()
    page.goto("about:blank")
    source = MODULE.read_text(encoding="utf-8")
    run = """async ([source, code, id, literal]) => {
      const module = await import('data:text/javascript;charset=utf-8,' + encodeURIComponent(source));
      const made = module.withAnswer(code, id, literal);
      return [made, module.givenAnswer(made, id) ?? null];
    }"""
    yield lambda code, literal, id=ID: page.evaluate(run, [source, code, id, literal])
    page.close()


def asked(code: str, id: str = ID) -> list:
    """The answers that a cell gives to a question when it runs."""
    given = []
    names = {"question": lambda of, answer=None: given.append(answer) if of == id else None, "choice": "from before"}
    exec(compile(code, "cell", "exec"), names)
    return given


@pytest.mark.parametrize("literal", ['"c"', "13.9", "-2", "1e-5"])
@pytest.mark.parametrize("code", CODES)
def test_the_new_code_gives_the_answer(written, code, literal):
    made, given = written(code, literal)
    assert asked(made)[-1] == ast.literal_eval(literal)
    assert given == literal.strip('"')


@pytest.mark.parametrize("code", CODES)
def test_a_second_press_replaces_the_first_and_nothing_grows(written, code):
    once, _ = written(code, '"a"')
    twice, given = written(once, '"b"')
    assert asked(twice)[-1] == "b" and given == "b"
    assert len(twice) == len(once) and written(once, '"a"')[0] == once


@pytest.mark.parametrize("code", CODES)
def test_nothing_but_a_plain_answer_is_lost(written, code):
    made = written(code, '"c"')[0]
    for line in code.splitlines():
        is_plain = line.strip().startswith(("choice", "question", "card")) and "if" not in line
        assert is_plain or line.strip().rstrip(",") in made
    for word in ("I think", "computed", "a guess", "2 + 3", "max(1, (2))", "choice.lower()", "start.other"):
        assert word not in code or word in made


def test_other_questions_with_similar_names_stay(written):
    other = 'question("start.three_percentX", "a")'
    assert written(f"{other}\n{CALL}", '"c"')[0].startswith(other)
    assert written(other, '"c"')[0] == f'{other}\nquestion("{ID}", "c")'


@pytest.mark.parametrize(
    ("typed", "plain"),
    [
        ("56.25%", "56.25"),
        (" 56,25 % ", "56.25"),
        ("５６．２５％", "56.25"),
        ("−3", "-3"),
        ("－1e-5", "-1e-5"),
        ("13.9", "13.9"),
        ("%5", "%5"),
        ("5%%", "5%"),
        ("five", "five"),
    ],
)
def test_a_typed_number_is_read_with_a_percent_sign_and_in_wide_digits(browser, typed, plain):
    page = browser.new_page()
    page.goto("about:blank")
    run = """async ([source, typed]) => {
      const module = await import('data:text/javascript;charset=utf-8,' + encodeURIComponent(source));
      return module.plainNumber(typed);
    }"""
    assert page.evaluate(run, [MODULE.read_text(encoding="utf-8"), typed]) == plain
    page.close()
