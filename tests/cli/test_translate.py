"""`nnopt translate`, and what `nnopt build --check` says of translations."""

import pytest

from nnopt_lab.course.translation import catalogs

SOURCE = "# %% [markdown]\n# The network has 3 layers.\n\n# %%\nprint('two words')\n"


@pytest.fixture
def lesson(course):
    """The folder of a course with one lesson."""
    return course("98_tiny", SOURCE)


def row(out):
    return next([cell.strip() for cell in line.strip("│").split("│")] for line in out.splitlines() if "98_tiny" in line)


def say(root, *translations):
    path = root / "solutions/zh/98_tiny.po"
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
