"""`nnopt translate`, and what `nnopt build --check` says of translations."""

import pytest

from nnopt_lab.course.translation import catalogs
from nnopt_lab.workbench import language

SOURCE = "# %% [markdown]\n# The network has 3 layers.\n\n# %%\nprint('two words')\n"


@pytest.fixture
def library(monkeypatch):
    """The library's own texts, none at first."""
    texts = {}
    monkeypatch.setattr(catalogs, "library_messages", lambda: texts)
    return texts


@pytest.fixture
def lesson(course, library):
    """The folder of a course with one lesson."""
    return course("98_tiny", SOURCE)


def row(out):
    return next([cell.strip() for cell in line.strip("│").split("│")] for line in out.splitlines() if "98_tiny" in line)


def say(root, *translations, file="98_tiny"):
    path = root / f"solutions/zh/{file}.po"
    catalog = catalogs.read(path)
    for entry, text in zip(catalog, translations, strict=True):
        entry.msgstr = text
    path.write_text(catalogs.as_text(catalog), encoding="utf-8")


def test_files_are_made_counted_checked_and_then_the_build_agrees(nnopt, lesson):
    assert nnopt("build", "--check") == (0, "", "")
    status, out, _ = nnopt("translate", "--language", "zh")
    assert status == 0 and row(out) == ["98_tiny", "zh", "2", "0", "0", "2"]
    status, out, _ = nnopt("build", "--check")
    assert status == 1 and out.splitlines() == [
        "solutions/zh/98_tiny.po: missing: The network has 3 layers.",
        "solutions/zh/98_tiny.po: missing: two words",
    ]
    say(lesson, "网络有 3 层。", "两个词")
    status, out, _ = nnopt("translate")
    assert status == 0 and row(out) == ["98_tiny", "zh", "2", "2", "0", "0"]
    assert nnopt("build", "--check") == (0, "", "") == nnopt("translate", "--check")
    assert "网络有 3 层。" in (lesson / "notebooks/zh/98_tiny.ipynb").read_text(encoding="utf-8")


def test_a_changed_english_sentence_fails_the_check(nnopt, lesson, course):
    nnopt("translate", "tiny", "--language", "zh")
    say(lesson, "网络有 3 层。", "两个词")
    nnopt("translate")
    course("98_tiny", SOURCE.replace("3", "4"))
    assert nnopt("build", "--check")[0] == 1
    assert row(nnopt("translate")[1])[-3:] == ["1", "1", "0"]
    status, out, _ = nnopt("build", "--check")
    assert (status, out) == (1, "solutions/zh/98_tiny.po: stale: The network has 4 layers.\n")


def test_check_names_faults_with_status_1(nnopt, lesson):
    nnopt("translate", "--language", "zh")
    say(lesson, "网络有 4 层.", "两个词")
    status, out, _ = nnopt("translate", "--check", "--language", "zh")
    assert status == 1 and out.startswith("solutions/zh/98_tiny.po: The network has 3 layers.\n  网络有 4 层.\n  ✘ ")
    assert out.count("✘") == 3


def test_the_library_s_own_texts_are_translated_beside_the_lessons(nnopt, lesson, library):
    library["{count} points"] = ["message"]
    status, out, _ = nnopt("translate", "--language", "zh")
    assert status == 0 and "nnopt_lab" in out and (lesson / "solutions/zh/nnopt_lab.po").is_file()
    say(lesson, "网络有 3 层。", "两个词")
    nnopt("translate")
    assert nnopt("build", "--check") == (1, "solutions/zh/nnopt_lab.po: missing: {count} points\n", "")
    assert nnopt("build", "--check", "tiny") == (0, "", "")
    say(lesson, "{number} 分", file="nnopt_lab")
    status, out, _ = nnopt("translate", "--check")
    assert status == 1 and "✘ The field {count} is missing." in out
    say(lesson, "{count} 分", file="nnopt_lab")
    assert nnopt("translate", "nnopt_lab")[0] == 0 and nnopt("translate", "--check", "nnopt_lab")[0] == 0
    assert nnopt("translate", "tiny")[0] == 0 and nnopt("build", "--check") == (0, "", "")
    assert not (lesson / "notebooks/zh/nnopt_lab.ipynb").exists()


def test_a_build_writes_the_translated_notebook_too(nnopt, lesson):
    nnopt("translate", "--language", "zh")
    edition = lesson / "notebooks/zh/98_tiny.ipynb"
    edition.unlink()
    assert nnopt("build", "tiny")[0] == 0 and edition.is_file()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "There are no translations yet: name a language"),
        (("--language", "en"), "needs no translation"),
        (("--language", "../up"), "must be a code of two or three small letters"),
        (("99", "--language", "zh"), "is not a lesson"),
    ],
)
def test_what_cannot_be_translated_is_said_in_a_sentence(nnopt, lesson, arguments, said):
    status, out, err = nnopt("translate", *arguments)
    assert status == 2 and out == "" and said in err and "Traceback" not in err
    assert not (lesson / "solutions/zh").exists()


SPEAKING = """# %% [markdown]
# # Tiny
#
# Words.

# %%
# Claims: the language of the kernel
import os
from nnopt_lab.course.calls import claim

claim("The kernel speaks Chinese.", os.environ["NNOPT_LANGUAGE"] == "zh")
"""


def test_a_lesson_runs_in_another_language_whether_it_is_translated_or_not(nnopt, course, library, chinese):
    course("98_tiny", SPEAKING)
    chinese({"The kernel speaks Chinese.": "内核说中文。"})
    language.set_language("en")
    status, out, _ = nnopt("run", "tiny", "--language", "zh")
    assert status == 0 and "1 of 1" in out
    catalogs.update("98_tiny", "zh")
    assert nnopt("run", "tiny", "--language", "zh", "--solved")[0] == 0
    status, out, _ = nnopt("run", "tiny")
    assert status == 1 and "✘ The kernel speaks Chinese." in out  # recorded in English
    status, _, err = nnopt("run", "tiny", "--language", "fr")
    assert status == 2 and err == "language='fr' must be one of: en, zh.\n"
