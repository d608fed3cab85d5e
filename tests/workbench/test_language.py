"""The language in use, and look-ups of texts."""

import copy
import json
import pickle

import polib
import pytest

from nnopt_lab.workbench import language
from nnopt_lab.workbench.language import (
    PRINTED,
    Message,
    _,
    counted,
    current_language,
    joined,
    languages,
    set_language,
    speaking,
    spoken,
    translated,
    translated_sentences,
)

MESSAGES = {
    "Two layers.": "两层。",
    "nearest": "最近",
    "{0} bits": "{0} 位",
    "{0} bits, {1}": "{1}，{0} 位",
    "up to {0} % (of {1})": "{1} 的 {0}%",
    "Nothing is off by {0}": "没有相差 {0}",
    "{0} is off by {1}.": "{0} 相差 {1}。",
    "{0} or {1} bits": "{0} 位或者 {1} 位",
    "{who} has {count} point.": "{who}有 {count} 分。",
    "{who} has {count} points.": "{who}有 {count} 分。",
}
SAID = {"runs": "能运行", "{0} runs": "{0} 能运行"}


@pytest.fixture(autouse=True)
def little_chinese(chinese):
    """A course that speaks English and a little Chinese."""
    chinese(MESSAGES, SAID)
    set_language(None)


def test_a_message_loses_its_end_only_if_another_text_is_before_it():
    end = Message("Expected {a}, got {b}.", a=1, b=2)
    shorter = joined(Message("Too {what}.", what="low"), end).without_end(str(end))
    assert shorter == shorter.said == "Too low."
    for whole in (end, joined(end, Message("Too low."))):
        assert whole.without_end(str(end)) == whole


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
        ("Nothing is off by 2", "没有相差 2"),  # the full stop of a sentence is no part of a field
        ("Nothing is off by 2.", "Nothing 相差 2。"),
        ("nearest is off by nearest.", "最近相差最近。"),  # no space between Chinese characters
        ("nearest or 2 bits", "最近位或者 2 位"),
        ("nothing known", "nothing known"),
        ("", ""),
        ("\n", "\n"),
    ],
)
def test_texts_and_templates_are_looked_up(text, said):
    assert translated(text) == text or current_language() != "en"
    set_language("zh")
    assert translated(text) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nearest, 3 bits", "最近，3 位"),
        ("3 bits → nearest → 4 bits", "3 位 → 最近 → 4 位"),
        ("nearest; 3 bits, nearest", "最近；最近，3 位"),
        ("nearest,\nMyNet", "最近，\nMyNet"),
        ("MyNet, features.0, 3 bits", "MyNet，features.0，3 位"),
        ("nearest (3)", "最近 (3)"),
        ("3 bits (12)", "3 位 (12)"),
        ("nearest, unheard of", "nearest, unheard of"),  # all or nothing
        ("MyNet, 0.5", "MyNet, 0.5"),
        ("nearest, nearest.", "最近，最近。"),
        ("unheard of (3)", "unheard of (3)"),
    ],
)
def test_labels_of_several_parts_are_looked_up_part_by_part(text, said):
    set_language("zh")
    assert translated(text) == said


@pytest.mark.parametrize(("text", "said"), [("runs", "能运行"), (" 3 runs", " 3 能运行"), ("nearest", "nearest")])
def test_what_lessons_print_has_its_own_context(text, said):
    set_language("zh")
    assert translated(text, PRINTED) == said
    assert translated("runs") == "runs"


@pytest.mark.parametrize("who", ["Ada", "{count}", "{", "nearest"])
def test_fields_of_the_library_s_texts_are_filled_in_as_they_are(who):
    english = [counted(n, "{who} has {count} point.", "{who} has {count} points.", who=who) for n in (0, 1, 2)]
    assert english == [f"{who} has 0 points.", f"{who} has 1 point.", f"{who} has 2 points."]
    set_language("zh")
    assert counted(1, "{who} has {count} point.", "{who} has {count} points.", who=who) == f"{who}有 1 分。"
    assert _("Two layers.") == "两层。" and _("Not {translated}") == "Not {translated}"


def test_an_unknown_language_in_the_variable_shows_english(monkeypatch):
    monkeypatch.setenv("NNOPT_LANGUAGE", "fr")
    assert translated("Two layers.") == "Two layers." and _("Two layers.") == "Two layers."


def test_a_message_is_english_until_it_is_shown():
    text = Message("{who} has {count} points.", who=Message("nearest"), count=3)
    both = joined(Message("Two layers."), text, "3 bits")
    assert text == str(text) == "nearest has 3 points." and both == "Two layers. nearest has 3 points. 3 bits"
    assert hash(text) == hash(str(text)) and json.loads(json.dumps(text)) == text
    assert pickle.loads(pickle.dumps(text)) == text and type(copy.deepcopy(text)) is str
    assert (text.said, both.said) == (text, both)
    set_language("zh")
    assert text == "nearest has 3 points."
    assert text.said == translated(text) == translated_sentences(text) == spoken(text) == "最近有 3 分。"
    assert translated(both) == "两层。最近有 3 分。3 位" and _("{who} has {count} points.", who=text, count=1) == (
        "最近有 3 分。有 1 分。"
    )
    assert spoken("nearest") == "nearest" and spoken(3) == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Ada has 3 points.", "Ada有 3 分。"),  # recorded in English, and shown later
        ("Two layers. Ada has 3 points.", "两层。Ada有 3 分。"),
        ("Off by 0.25. 4 bits", "Off by 0.25. 4 bits"),  # a field does not run over a sentence's end
        ("Nothing is off by 0.25. 4 bits", "Nothing 相差 0.25。4 位"),
        ("up to 90 % (of 3).", "3 的 90%。"),
    ],
)
def test_recorded_sentences_are_found_by_their_templates(text, said):
    set_language("zh")
    assert translated_sentences(text) == said


def test_a_lesson_s_own_translation_goes_before_another_lesson_s(chinese):
    chinese({"small": "小", "batch": "批"})
    catalog = polib.POFile()
    catalog.metadata = {"Content-Type": "text/plain; charset=UTF-8"}
    catalog.extend(polib.POEntry(msgid=text, msgstr=said) for text, said in (("small", "小"), ("batch", "批")))
    for context in (language.context_of("07_lesson"), language.context_of(language.DOMAIN)):
        catalog.append(polib.POEntry(msgctxt=context, msgid="small", msgstr=context))
    catalog.save_as_mofile(str(language.catalog_file("zh")))
    language.forget_catalogs()
    assert (translated("small"), translated("small", language.DOMAIN)) == ("小", language.DOMAIN)
    language.enter_lesson("07_lesson")
    assert (translated("small"), translated("batch")) == ("07_lesson", "批")
    language.enter_lesson("08_lesson")
    assert translated("small") == "小"
