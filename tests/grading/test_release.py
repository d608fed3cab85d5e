"""The learner's kit: everything needed to learn and nothing that gives the answers away."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from contextlib import closing
from datetime import UTC, datetime

import polib
import pytest

from nnopt_lab.course.checking import judge_answer
from nnopt_lab.course.exercises import exercises, lesson_points, questions
from nnopt_lab.course.lesson import lessons
from nnopt_lab.course.lesson_files import lesson_names
from nnopt_lab.grading import kit_files, release
from nnopt_lab.grading.batch import grade_all
from nnopt_lab.grading.gradebook import Gradebook
from nnopt_lab.grading.pool import Settings
from nnopt_lab.grading.release import write_kit
from nnopt_lab.grading.sandbox import Limits, available
from nnopt_lab.grading.sources import find
from nnopt_lab.workbench.language import catalog_file, languages, set_language
from nnopt_lab.workbench.paths import PACKAGE, root
from tests.grading.classroom import LESSON, hand_in, linux


@pytest.fixture(scope="module")
def kit(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kit") / "kit"
    assert write_kit(folder, ["pruning"], "2026-12-01T18:00+00:00") == [LESSON]
    return folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "kit"
    assert write_kit(folder) == lesson_names()
    return folder


@pytest.fixture
def notebook(kit):
    return json.loads((kit / "notebooks" / f"{LESSON}.ipynb").read_text(encoding="utf-8"))


def in_the_kit(kit, code, *arguments, folder="."):
    """Run Python code or a command of a kit, with the kit's package; returns what it printed."""
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "NNOPT_WORKSPACE")}
    environment["PYTHONPATH"] = str(kit)
    command = [sys.executable, *(("-c", code) if code else ("-m", "nnopt_lab", *arguments))]
    done = subprocess.run(command, cwd=kit / folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_holds_no_solution(kit):
    held = {"pyproject.toml", "README.md", "LICENSE", "notebooks", "nnopt_lab", "data"}
    assert {path.name for path in kit.iterdir()} == held
    every = {path.relative_to(kit / "notebooks").as_posix() for path in kit.glob("notebooks/**/*.ipynb")}
    assert every == {f"{LESSON}.ipynb", *(f"{code}/{LESSON}.ipynb" for code in languages() if code != "en")}
    assert not list(kit.rglob("__pycache__"))
    assert (kit / "LICENSE").read_bytes() == (PACKAGE / "LICENSE").read_bytes()


def texts(kit):
    """The kit's files that are text, without what only describes lessons in general."""
    for path in kit.rglob("*"):
        if path.suffix in (".py", ".md", ".ipynb", ".json", ".toml", ".html"):
            yield path, path.read_text(encoding="utf-8")


def test_no_file_of_it_has_a_question_s_answer_explanation_or_comment(whole):
    every = " ".join(" ".join(text.split()) for _, text in texts(whole))
    joined = every.replace('" "', "")
    for asked in questions().values():
        for secret in (asked.explanation, *asked.comments.values()):
            assert " ".join(secret.split()) not in joined and json.dumps(secret)[1:40] not in joined, asked.id
    for path, text in texts(whole):
        calls = (
            [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)] if path.suffix == ".py" else []
        )
        for call in calls:
            if isinstance(call.func, ast.Name) and call.func.id == "question":
                fields = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}
                assert fields["answer"] is None and not fields["explanation"] and "comments" not in fields, path
                assert fields["seal"]["salt"] and len({len(lock) for lock in fields["seal"]["locks"].values()}) == 1
    assert len({salts for _, text in texts(whole) for salts in re.findall(r"'salt': '(\w+)'", text)}) == 1


def test_two_kits_have_different_salts(kit, whole):
    salt = re.compile(r"'salt': '(\w{32})'")
    sources = [(folder / "nnopt_lab/lessons/pruning/exercises.py").read_text("utf-8") for folder in (kit, whole)]
    assert salt.search(sources[0])[1] != salt.search(sources[1])[1]


def test_the_exercises_of_other_lessons_are_not_in_it(kit):
    assert [path.parent.name for path in kit.glob("nnopt_lab/lessons/*/exercises.py")] == ["pruning"]


GIVEN = """
import json
from nnopt_lab.course.calls import question
from nnopt_lab.course.checking import judge_answer
from nnopt_lab.course.exercises import questions
given = json.loads({given!r})
print(json.dumps({{id: [[judge_answer(questions()[id], answer), question(id, answer).lines]
        for answer in answers]
    for id, answers in given.items()}}))
"""


def test_a_learner_of_a_kit_gets_the_same_verdicts_and_comments_as_one_of_the_clone(whole):
    given = {
        id: [*asked.choices, "z"] if asked.choices else [asked.answer, *asked.comments, 100 * asked.answer, "many"]
        for id, asked in questions().items()
    }
    found = json.loads(in_the_kit(whole, GIVEN.format(given=json.dumps(given))).splitlines()[-1])
    for id, answers in given.items():
        asked = questions()[id]
        for answer, (verdict, lines) in zip(answers, found[id], strict=True):
            assert verdict is judge_answer(asked, answer), (id, answer)
            if verdict:
                assert lines == [asked.explanation]
            elif verdict is False:
                assert lines[-1] == "Try again; it costs no points." and asked.explanation not in lines
                assert not asked.choices or lines[1] == asked.comment_on(answer)


def test_progress_and_the_course_map_have_only_its_lessons(kit):
    said = in_the_kit(kit, "", "progress", "--workspace", "work")
    assert [line.split()[0] for line in said.splitlines()] == ["lesson", "01", "all"]
    code = (
        "from nnopt_lab.course.calls import lesson\nfrom nnopt_lab.course.course_map import progress\n"
        f"print(lesson({LESSON!r}).lines, lesson('05_integers_by_hand').title)\nprint(progress()._repr_html_())"
    )
    said = in_the_kit(kit, code)
    assert "Due: Tuesday, 2026-12-01 18:00 UTC" in said and "There is no lesson '05_integers_by_hand'" in said
    assert "01 " in said and "02 " not in said and "Next" not in said


def fill_from(kit, folder):
    """Copy a kit's lessons into a workspace, as its `nnopt lab` does."""
    in_the_kit(
        kit, f"from pathlib import Path\nfrom nnopt_lab.course.workspace import fill\nfill(Path({str(folder)!r}))"
    )


def commands(readme):
    return sorted({line.split("#")[0].strip() for line in re.findall(r"python3 -m nnopt_lab ([^`\n]*)", readme)})


def test_its_readme_is_its_own_and_every_command_in_it_works_there(kit):
    readme = (kit / "README.md").read_text("utf-8")
    assert "**Due: Tuesday, 2026-12-01 18:00 UTC**" in readme and f"`work/{LESSON}.ipynb`" in readme
    assert "| 01 " in readme and "| 02 " not in readme and "![" not in readme
    named = commands(readme)
    assert {command.split()[0] for command in named} == {"lab", "progress", "reset", "doctor", "update"}
    assert not re.search(r"nnopt_lab (test|build|grade|release|mark)", readme)
    for path in re.findall(r"`((?:data|nnopt_lab|notebooks)/[^`]*|LICENSE)`", readme):
        assert (kit / path).exists(), path
    copy = kit.parent / "unpacked"
    shutil.copytree(kit, copy)
    for command in named:
        if command == "lab":
            in_the_kit(copy, "", "lab", "--help")
            fill_from(copy, copy / "work")
        else:
            in_the_kit(copy, "", *command.split())
    assert (copy / "work" / f"{LESSON}.ipynb").is_file()


def test_a_newer_kit_takes_over_the_folder_of_an_older_one(kit, tmp_path):
    newer = tmp_path / "newer"
    write_kit(newer, ["pruning"], "2026-12-08T18:00+00:00")
    fill_from(kit, newer / "work")
    mine = newer / "work" / f"{LESSON}.ipynb"
    content = json.loads(mine.read_text("utf-8"))
    answer = next(cell for cell in content["cells"] if cell["metadata"].get("exercise"))
    answer["source"] = "my answer"
    mine.write_text(json.dumps(content), "utf-8")
    (newer / "work" / "progress.json").write_text("{}")
    shipped = newer / "notebooks" / f"{LESSON}.ipynb"
    new = json.loads(shipped.read_text("utf-8"))
    new["cells"][0]["source"] = "# The newer text"
    shipped.write_text(json.dumps(new), "utf-8")
    said = in_the_kit(newer, "", "update")
    assert "1 cell of the lesson is new or changed. Kept: 1 answer" in said
    merged = json.loads(mine.read_text("utf-8"))
    assert merged["metadata"]["nnopt"]["due"] == "2026-12-08T18:00:00+00:00"
    assert merged["cells"][0]["source"] == "# The newer text" and "my answer" in [c["source"] for c in merged["cells"]]
    assert (newer / "work" / "progress.json").read_text() == "{}"


def test_its_command_offers_only_what_a_learner_needs_there(kit):
    said = in_the_kit(kit, "", "--help")
    assert "Learn" in said and not re.search(r"\b(Teach|Maintain|grade|release|build|capstone)\b", said)
    with pytest.raises(AssertionError, match="No such command"):
        in_the_kit(kit, "", "grade", "work")


def test_a_kernel_beside_it_uses_its_package_even_in_another_clone_s_environment(kit):
    code = "import sys\nsys.argv = ['nnopt', 'lab']\nfrom nnopt_lab.environment import ensure\nensure()\n"
    code += "import os\nprint(os.environ['PYTHONPATH'].split(os.pathsep)[0])"
    assert in_the_kit(kit, code).strip() == str(kit)


def test_its_project_file_installs_it_and_names_nothing_that_is_not_there(kit):
    project = tomllib.loads((kit / "pyproject.toml").read_text("utf-8"))
    clone = tomllib.loads((root() / "pyproject.toml").read_text("utf-8"))
    assert project["project"]["dependencies"] == clone["project"]["dependencies"]
    assert set(project["project"]["optional-dependencies"]) == {"openvino", "timm"}
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert set(project["tool"]) == {"hatch"} and set(wheel["force-include"]) == {"data", "notebooks"}
    named = [*project["project"]["license-files"], *wheel["packages"], *wheel["force-include"]]
    assert all((kit / name).exists() for name in named)


@linux
def test_a_notebook_of_a_kit_earns_the_same_points_as_one_of_the_clone(kit, notebook, tmp_path):
    solved = json.loads((root() / "solutions" / f"{LESSON}.ipynb").read_text("utf-8"))
    answers = {cell["id"]: cell["source"] for cell in solved["cells"]}
    clone = json.loads((root() / "notebooks" / f"{LESSON}.ipynb").read_text("utf-8"))
    for learner, blank in (("kit", notebook), ("clone", clone)):
        for cell in blank["cells"]:
            if cell["id"].startswith(("exercise-", "question-")):
                cell["source"] = answers[cell["id"]]
        hand_in(tmp_path / "in", learner, blank)
    with closing(Gradebook(tmp_path / "out", seed=3)) as book:
        grade_all(find([tmp_path / "in"]), book, Settings(available(), Limits()), jobs=1)
        earned = {entry.learner: sum(result.points for result in entry.graded.results) for entry in book.entries()}
    assert earned == dict.fromkeys(("kit", "clone"), lesson_points(LESSON))


def test_a_catalogue_of_translations_in_it_has_no_text_about_an_answer(tmp_path):
    asked = next(iter(questions().values()))
    catalog = polib.MOFile()
    for text in (asked.explanation, *asked.comments.values(), "Right"):
        catalog.append(polib.POEntry(msgid=text, msgstr="译文"))
    catalog.save(str(tmp_path / "nnopt_lab.mo"))
    kit_files._drop_secrets(tmp_path / "nnopt_lab.mo")
    assert [entry.msgid for entry in polib.mofile(str(tmp_path / "nnopt_lab.mo"))] == ["Right"]


def test_a_question_that_can_not_be_sealed_stops_the_kit():
    with pytest.raises(ValueError, match="can't be sealed"):
        kit_files._sealed_source("for id in ids:\n    question(id)\n", questions(LESSON), "salt")


@pytest.mark.parametrize(
    ("zone", "text"),
    [
        ("UTC", "Tuesday, 2026-12-01 18:00 UTC"),
        ("Europe/Berlin", "Tuesday, 2026-12-01 19:00 CET (18:00 UTC)"),
        ("Asia/Shanghai", "Wednesday, 2026-12-02 02:00 CST (2026-12-01 18:00 UTC)"),
    ],
)
def test_a_due_date_names_its_day_and_time_zone(monkeypatch, zone, text):
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        assert kit_files.in_full(datetime(2026, 12, 1, 18, tzinfo=UTC)) == text
    finally:
        monkeypatch.undo()
        time.tzset()


def test_points_and_the_due_date_are_in_the_notebook(notebook):
    noted = notebook["metadata"]["nnopt"]
    assert noted == {"lesson": LESSON, "points": lesson_points(LESSON), "due": "2026-12-01T18:00:00+00:00"}
    points = [cell["metadata"]["nnopt"]["points"] for cell in notebook["cells"] if "nnopt" in cell["metadata"]]
    assert sum(points) == lesson_points(LESSON)


def test_nbgrader_s_metadata_is_as_its_schema_wants_it(notebook):
    """Its schema, version 3, in our words; where nbgrader is installed, in its own."""
    marks = [cell["metadata"]["nbgrader"] for cell in notebook["cells"]]
    assert len({mark["grade_id"] for mark in marks}) == len(marks)
    answers = [mark for mark in marks if mark["solution"]]
    assert len(answers) == len(exercises(LESSON)) + len(questions(LESSON))
    for mark in marks:
        assert {"schema_version", "grade_id", "cell_type", "grade", "solution", "locked", "task"} <= set(mark)
        assert mark["grade"] == mark["solution"] == (not mark["locked"]) == ("points" in mark)
    nbgrader = pytest.importorskip("nbgrader.nbgraderformat")
    import nbformat

    nbgrader.MetadataValidator().validate_nb(nbformat.from_dict(notebook))


def test_the_kit_works_as_a_clone_does(kit):
    """Its own notebooks are found, its lesson can be opened, and what needs the solutions says so."""
    code = (
        "import sys; sys.path.insert(0, '.')\n"
        "from nnopt_lab.course.workspace import fill\nfrom pathlib import Path\n"
        "assert fill(Path('work')) == [('01_pruning', 'new')]\n"
        "from nnopt_lab.course.calls import check\n"
        "print(check('pruning.l1_importance', lambda weight: weight.abs().sum(dim=(1, 2, 3))).title)\n"
        "from nnopt_lab.course.lesson_files import lesson_names\nassert lesson_names() == ['01_pruning']\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=kit, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "passed" in done.stdout


def test_without_an_assignment_it_holds_every_lesson(whole):
    every = [sorted(path.name for path in (folder / "notebooks").glob("*.ipynb")) for folder in (whole, root())]
    assert every[0] == every[1]
    content = json.loads((whole / "notebooks" / f"{LESSON}.ipynb").read_text(encoding="utf-8"))
    assert "nnopt" not in content["metadata"]


def test_a_folder_that_holds_something_stays_as_it_is(tmp_path):
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(ValueError, match="is not empty"):
        write_kit(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_lesson_or_a_date_that_is_none_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(ValueError, match="is not a lesson"):
        write_kit(tmp_path / "kit", ["cooking"])
    with pytest.raises(ValueError, match="must be a date"):
        write_kit(tmp_path / "kit", ["pruning"], "soon")
    assert not (tmp_path / "kit").exists()


@pytest.fixture
def chinese_kit(tmp_path, monkeypatch, chinese):
    """A kit that speaks Chinese, of a course whose lesson has a Chinese notebook."""
    clone, text = tmp_path / "clone", (root() / "notebooks" / f"{LESSON}.ipynb").read_text(encoding="utf-8")
    (clone / "notebooks" / "zh").mkdir(parents=True)
    (clone / "pyproject.toml").touch()
    for name in (LESSON, "02_convolutions"):
        (clone / "notebooks" / "zh" / f"{name}.ipynb").write_text(text.replace("# Pruning: ", "# 剪枝："), "utf-8")
    monkeypatch.setattr(release, "root", lambda: clone)
    chinese({"all lessons": "全部课程", lessons()[LESSON].title: "剪枝"})
    set_language("en")
    write_kit(tmp_path / "kit", ["pruning"], "2026-12-01T18:00+00:00", "zh")
    shutil.copytree(catalog_file("zh").parents[2], tmp_path / "kit" / PACKAGE.name / "locale", dirs_exist_ok=True)
    monkeypatch.delenv("NNOPT_LANGUAGE")
    monkeypatch.setenv("LANG", "C")
    return tmp_path / "kit"


def test_a_kit_speaks_its_language_and_has_the_notebooks_of_all(chinese_kit):
    found = {
        path.relative_to(chinese_kit / "notebooks").as_posix() for path in chinese_kit.rglob("notebooks/**/*.ipynb")
    }
    assert found == {f"{LESSON}.ipynb", f"zh/{LESSON}.ipynb"}
    english, translated = (json.loads((chinese_kit / "notebooks" / name).read_text("utf-8")) for name in sorted(found))
    assert "剪枝" in "".join(translated["cells"][0]["source"]) and "剪枝" not in "".join(english["cells"][0]["source"])
    assert translated["metadata"]["nnopt"] == english["metadata"]["nnopt"]
    assert [c["metadata"]["nbgrader"] for c in translated["cells"]] == [
        c["metadata"]["nbgrader"] for c in english["cells"]
    ]
    readme = (chinese_kit / "README.md").read_text("utf-8")
    assert (
        readme.startswith("# NNOpt Lab：课程 01\n") and "| 01 剪枝 |" in readme and f"work/zh/{LESSON}.ipynb" in readme
    )
    assert "全部课程" in in_the_kit(chinese_kit, None, "progress")
    assert "all lessons" in in_the_kit(chinese_kit, None, "progress", "--language", "en")


def test_an_unknown_language_of_a_kit_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(ValueError, match="language='fr' must be one of"):
        write_kit(tmp_path / "kit", ["pruning"], language="fr")
    assert not (tmp_path / "kit").exists()
