"""The README in another language keeps code, numbers, commands and links, and links hold in its folder."""

import os
import re

import pytest

from nnopt_lab.course.translation import catalogs, checks, editions, readme
from nnopt_lab.course.translation.readme import README, readme_edition, readme_messages, readme_names
from nnopt_lab.workbench.paths import root

ENGLISH = """# Title

[中文](.github/README.zh.md)

[![ci](../../actions/ci.svg)](../../actions) and <img src=".github/lesson.png"> for 3 learners.

    python3 -m nnopt_lab lab

| command | what it does |
|---|---|
| `nnopt lab` | opens [a site](https://example.org) or [below](#title) |
"""


@pytest.fixture
def small(tmp_path, monkeypatch):
    for module in (readme, catalogs, editions):
        monkeypatch.setattr(module, "root", lambda: tmp_path)
    (tmp_path / "README.md").write_text(ENGLISH, encoding="utf-8")
    return tmp_path


def test_the_translated_readme_is_made_and_falls_out_of_step_with_the_english(small):
    catalog = catalogs.update(README, "zh")
    said = {"# Title": "标题", "Title": "标题", "| command | what it does |": "| 命令 | 作用 |"}
    for entry in catalog:
        entry.msgstr = said.get(entry.msgid, entry.msgid)
    path = catalogs.po_file(README, "zh")
    path.write_text(catalogs.as_text(catalog), encoding="utf-8")
    editions.write_readme("zh")
    assert readme.readme_file("zh").read_text(encoding="utf-8") == ENGLISH.replace("# Title", "# 标题").replace(
        "| command | what it does |", "| 命令 | 作用 |"
    ).replace("[中文](.github/README.zh.md)", "[English](../README.md)").replace("](../../", "](../../../").replace(
        'src=".github', 'src="../.github'
    ).replace("(#title)", "(#标题)")
    (small / "README.md").write_text(ENGLISH.replace("3 learners", "4 learners"), encoding="utf-8")
    found = editions.out_of_step("zh", [README])
    assert any("README.po: missing" in text for text in found)
    assert ".github/README.zh.md is outdated: run nnopt translate README." in found


def test_a_text_without_translation_stays_english_with_a_mark(small):
    text = readme_edition({}, "*(later)*")
    assert "# Title *(later)*\n" in text and "| command | what it does *(later)* |" in text
    assert "    python3 -m nnopt_lab lab\n" in text


def test_without_a_readme_there_is_nothing_to_translate(small):
    (small / "README.md").unlink()
    assert readme_names() == []


@pytest.mark.parametrize("language", catalogs.translated_languages())
def test_the_stored_readme_agrees_with_the_english(language):
    known = catalogs.translations(catalogs.read(catalogs.po_file(README, language)))
    wanted = readme_messages()
    assert not [text for text in wanted if text not in known]
    for text, kinds in wanted.items():
        assert not checks.problems(text, known[text], kinds, language), text
    english, other = (root() / "README.md").read_text("utf-8"), editions.readme(language)
    english, other = (re.sub(r" # .*", " #", text) for text in (english, other))  # comments are translated
    for pattern in (r"^ {4}.*$", r"```.*?```", r"`[^`\n]+`", r"\]\(https?:[^)]+\)"):
        flags = re.MULTILINE | (re.DOTALL if "```" in pattern else 0)
        assert sorted(re.findall(pattern, english, flags)) == sorted(re.findall(pattern, other, flags)), pattern
    for target in re.findall(r"(?:\]\(|src(?:set)?=\")(?!https?:|#)([^)\"]+)", other):
        assert target.startswith("../../../") or os.path.exists(root() / ".github" / target), target
