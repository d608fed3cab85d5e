"""Texts of the library, and messages that are English until they are shown."""

import copy
import json
import pickle

import pytest

from nnopt_lab.workbench.language import (
    Message,
    _,
    counted,
    joined,
    set_language,
    spoken,
    translated,
    translated_sentences,
)


def test_a_message_loses_its_end_only_if_another_text_is_before_it():
    end = Message("Expected {a}, got {b}.", a=1, b=2)
    shorter = joined(Message("Too {what}.", what="low"), end).without_end(str(end))
    assert shorter == shorter.said == "Too low."
    for whole in (end, joined(end, Message("Too low."))):
        assert whole.without_end(str(end)) == whole


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
