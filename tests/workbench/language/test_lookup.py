"""Look-ups of finished texts."""

import polib
import pytest

from nnopt_lab.workbench import language
from nnopt_lab.workbench.language import PRINTED, current_language, set_language, translated, translated_sentences


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
        ("nearest=3 must be nearest.", "nearest=3 必须是最近。"),  # an argument keeps its name
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


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("−0.07 to +0.07", "−0.07 至 +0.07"),
        ("1.2× (1.1 to 1.3)", "1.2× (1.1 至 1.3)"),
        ("3 ms (2 to 4)", "3 ms (2 至 4)"),
    ],
)
def test_ends_of_an_interval_of_numbers_are_joined_by_a_word(chinese, text, said):
    chinese({"{low} to {high}": "{low} 至 {high}"})
    assert translated(text) == said
