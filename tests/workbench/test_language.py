"""The language in use, and look-ups of texts."""

import polib
import pytest

from nnopt_lab.workbench import language
from nnopt_lab.workbench.language import (
    current_language,
    languages,
    set_language,
    speaking,
    translated,
    translated_plural,
)

MESSAGES = {
    "Two layers.": "两层。",
    "nearest": "最近",
    "{0} bits": "{0} 位",
    "{0} bits, {1}": "{1}，{0} 位",
    "up to {0} % (of {1})": "{1} 的 {0}%",
}


@pytest.fixture(autouse=True)
def chinese(tmp_path, monkeypatch):
    """A course that speaks English and a little Chinese."""
    monkeypatch.setattr(language, "_locale_folder", lambda: tmp_path)
    path = language.catalog_file("zh")
    path.parent.mkdir(parents=True)
    catalog = polib.POFile()
    catalog.metadata = {"Content-Type": "text/plain; charset=UTF-8", "Plural-Forms": "nplurals=1; plural=0;"}
    catalog.extend(polib.POEntry(msgid=text, msgstr=said) for text, said in MESSAGES.items())
    catalog.append(polib.POEntry(msgid="one hint", msgid_plural="hints", msgstr_plural={0: "提示"}))
    catalog.save_as_mofile(str(path))
    language.forget_catalogs()
    set_language(None)
    yield
    set_language(None)
    language.forget_catalogs()


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LANG": "en_US.UTF-8", "LANGUAGE": "zh_TW:en"}, "zh"),
        ({"LANG": "fr_FR.UTF-8"}, "en"),
        ({"NNOPT_LANGUAGE": "zh", "LANG": "en_US"}, "zh"),
        ({"NNOPT_LANGUAGE": "en", "LANG": "zh_CN"}, "en"),
        ({"NNOPT_LANGUAGE": "zh-CN"}, "zh"),
        ({"NNOPT_LANGUAGE": "", "LANG": "zh"}, "zh"),
    ],
)
def test_the_variable_goes_before_the_locale(environment, expected):
    assert current_language(environment) == expected


def test_a_choice_goes_before_the_variable(monkeypatch):
    monkeypatch.setenv("NNOPT_LANGUAGE", "en")
    set_language("zh")
    assert current_language() == "zh"
    set_language(None)
    assert current_language() == "en"


def test_a_language_is_spoken_for_a_while():
    set_language("zh")
    with pytest.raises(ZeroDivisionError), speaking("en"):
        assert current_language() == "en"
        raise ZeroDivisionError
    assert current_language() == "zh"
    with pytest.raises(ValueError, match="language='fr'"), speaking("fr"):
        pass
    assert current_language() == "zh"


def test_an_unknown_language_is_refused_with_those_that_there_are():
    assert languages() == ["en", "zh"]
    with pytest.raises(ValueError, match="language='fr' must be one of: en, zh"):
        set_language("fr")
    with pytest.raises(ValueError, match="NNOPT_LANGUAGE='fr' must be one of: en, zh"):
        current_language({"NNOPT_LANGUAGE": "fr"})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Two layers.", "两层。"),
        ("  nearest ", "  最近 "),
        ("3 bits", "3 位"),
        ("3 bits, nearest", "最近，3 位"),
        ("3 bits, by chance", "by chance，3 位"),
        ("up to 90 % (of a.b)", "a.b 的 90%"),
        ("up to 90 of", "up to 90 of"),
        ("nothing known", "nothing known"),
        ("", ""),
        ("\n", "\n"),
    ],
)
def test_texts_and_templates_are_looked_up(text, said):
    assert translated(text) == text or current_language() != "en"
    set_language("zh")
    assert translated(text) == said


def test_plurals_follow_the_language():
    assert [translated_plural("one hint", "hints", n) for n in (0, 1, 2)] == ["hints", "one hint", "hints"]
    set_language("zh")
    assert translated_plural("one hint", "hints", 1) == "提示"
