"""Help texts and errors are shown in the language in use."""

import re

import pytest

from nnopt_lab.cli import app, usage
from nnopt_lab.course.translation.library import library_messages
from nnopt_lab.workbench import language


@pytest.fixture
def marked(chinese):
    """Chinese is spoken, in which every text of the library is the English one in brackets."""
    chinese({text: f"【{text}】" for text, kinds in library_messages().items() if "message" not in kinds})


def test_the_help_is_translated(nnopt, marked):
    status, out, err = nnopt("--help")
    assert status == 0 and err == ""
    for text in (
        "Learn",
        "Open the lessons in JupyterLab, as copies in your workspace.",
        usage.OF_HELP_OPTION,
    ):
        assert f"【{text}】" in out


@pytest.mark.parametrize("command", sorted(app.registered_commands, key=lambda one: one.name), ids=lambda one: one.name)
def test_every_help_text_has_its_translation(nnopt, marked, command):
    _, translated, _ = nnopt(command.name, "--help")
    language.set_language("en")
    _, english, _ = nnopt(command.name, "--help")
    assert words(re.sub("[【】]", "", translated)) == words(english)
    bare = re.sub(r"【[^】]*】|--?[\w/-]+|<[^>]*>|\[[^\]]*\]|Usage:.*", "", " ".join(words(translated)))
    assert not re.findall(r"\b[a-z]{3,} [a-z]{2,} [a-z]{2,}", bare), bare


def words(shown):
    return re.sub(r"[│╭╮╰╯─]", " ", shown).split()


def test_a_chinese_sentence_that_is_wider_than_its_column_is_shown_whole(nnopt, chinese, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    said = "你的文件夹；默认为当前所在的工作区，或者这里的 work 文件夹（如果有的话）。" * 3
    chinese({text: said for text, kinds in library_messages().items() if "help" in kinds})
    _, shown, _ = nnopt("lab", "--help")
    column = "".join(words(re.sub(r"(?m)^│ --[\w-]+.*?(?=你)", "", shown)))
    assert column.count(said.replace(" ", "")) > 3 and "…" not in column
    lines = [line.strip("│ ").lstrip() for line in shown.splitlines()]
    assert not any(line.startswith(("，", "。", "；", "）")) or line.endswith("（") for line in lines)
    assert all(character.isprintable() for line in lines for character in line)


def test_typer_s_own_words_are_translated_too(nnopt, chinese):
    said = {"Usage:": "用法：", "[OPTIONS]": "[选项]", "COMMAND [ARGS]...": "命令 [参数]...", "Options": "选项"}
    said |= {"Arguments": "参数", "[required]": "[必填]", "[default: {value}]": "[默认：{value}]", "Error": "出错"}
    said |= {"Try [blue]'{command}'[/] for help.": "帮助：[blue]{command}[/]"}
    said |= {"No such option: {0} (Possible options: {1})": "没有 {0}（可用 {1}）"}
    chinese(said)
    shown = "".join(nnopt(*call)[1] for call in (["--help"], ["lab", "--help"], ["reset", "--help"]))
    assert all(text in shown for text in ("用法：", "[选项] 命令 [参数]...", "参数", "[必填]", "[默认：8888]"))
    _, _, err = nnopt("grade", "--nope")
    assert all(text in err for text in ("─ 出错 ─", "grade --help", "帮助：", "没有 --nope（可用 --zone）"))
    language.set_language("en")
    assert "Options" in nnopt("--help")[1]


def test_without_a_translation_the_help_is_as_before(nnopt, chinese):
    english = [nnopt(*call) for call in (["--help"], ["lab", "--help"])]
    chinese({})
    assert [nnopt(*call) for call in (["--help"], ["lab", "--help"])] == english


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (["lba"], "【No such command 'lba'.】 【Did you mean 'lab'?】"),
        (["lab", "--prt", "1"], "【No such option: --prt"),
        (["--prt"], "【No such option: --prt"),
        (["reset"], "【Missing argument"),
        (["optimize", "x.py:f"], "【Missing option"),
        (["lab", "--port", "x"], "【Invalid value for '--port': "),
        (["reset", "nothing"], "lesson='nothing' is not a lesson"),
        (["optimize", "x.py:f", "--data", "y", "--minutes", "-1"], "【minutes=-1.0 must be above 0; leave it out"),
        (["grade", "missing.ipynb"], "【missing.ipynb does not exist.】"),
    ],
)
def test_errors_are_translated(nnopt, marked, call, said):
    status, _, err = nnopt(*call)
    assert status == 2 and said in " ".join(words(err))
    language.set_language("en")
    status, _, err = nnopt(*call)
    assert status == 2 and re.sub("[【】]", "", said) in " ".join(words(err))
