"""Blocks of a cell: what is translated, what is not, and that nothing else in the cell changes."""

from itertools import pairwise

import jupytext
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from nnopt_lab.course.lesson_files import lesson_names
from nnopt_lab.course.translation.markdown_blocks import (
    COMMENT,
    HEADING,
    LIST_ITEM,
    PARAGRAPH,
    TABLE_ROW,
    blocks,
    has_words,
    with_translations,
)
from nnopt_lab.workbench.paths import root

CELL = """## A heading

A paragraph of two
lines with `code` and $x_1$.

- an item
  that goes on
- another
  1. an inner one

> A quotation
> of two lines.

| head | |
|---|---|
| a cell | 3 |
| `x` | 4 |

$$L_\\text{in} = a
+ b
- c$$

```python
a comment = "is code"
```

<div>
not translated
</div>

A line  
that breaks."""


FOLDED = """<details><summary>What is *seen*?
</summary>

What is `folded`.

</details>"""


def test_of_a_fold_in_html_the_line_that_is_seen_and_the_text_inside_are_translated():
    texts = ["What is *seen*?", "What is `folded`."]
    assert [(b.kind, b.text) for b in blocks(FOLDED)] == [(PARAGRAPH, text) for text in texts]
    translated = with_translations(FOLDED, lambda block: block.text.upper())
    assert translated == FOLDED.replace(texts[0], texts[0].upper()).replace(texts[1], texts[1].upper())
    assert blocks("<details><summary>\n</summary>\n\n<summary>loose\n</summary>\n\n</details>") == []


def test_each_kind_of_block_is_found_with_its_text_unwrapped():
    assert [(b.kind, b.text) for b in blocks(CELL)] == [
        (HEADING, "A heading"),
        (PARAGRAPH, "A paragraph of two lines with `code` and $x_1$."),
        (LIST_ITEM, "an item that goes on"),
        (LIST_ITEM, "another"),
        (LIST_ITEM, "an inner one"),
        (PARAGRAPH, "A quotation of two lines."),
        (TABLE_ROW, "| head | |"),
        (TABLE_ROW, "| a cell | 3 |"),
        (PARAGRAPH, "A line  \nthat breaks."),
    ]


def test_translations_take_the_places_of_their_blocks_and_nothing_else_changes():
    made = with_translations(CELL, lambda block: block.text.upper())
    assert made == (
        CELL.replace("A heading", "A HEADING")
        .replace("A paragraph of two\nlines with `code` and $x_1$.", "A PARAGRAPH OF TWO LINES WITH `CODE` AND $X_1$.")
        .replace("an item\n  that goes on", "AN ITEM THAT GOES ON")
        .replace("another", "ANOTHER")
        .replace("an inner one", "AN INNER ONE")
        .replace("A quotation\n> of two lines.", "A QUOTATION OF TWO LINES.")
        .replace("head", "HEAD", 2)
        .replace("AHEADING", "A HEADING")
        .replace("a cell", "A CELL")
        .replace("A line  \nthat breaks.", "A LINE  \nTHAT BREAKS.")
    )


def test_only_translated_blocks_change():
    made = with_translations(CELL, lambda block: "ein anderer" if block.text == "another" else None)
    assert made == CELL.replace("another", "ein anderer")


@pytest.mark.parametrize(
    "text", ["`code only`", "$$x + y$$", "3 × 4", "", "[1](https://example.org/words)", "$a_\\text{in}$"]
)
def test_without_words_there_is_nothing_to_translate(text):
    assert not has_words(text) and blocks(text) == []


@pytest.mark.parametrize("lesson", lesson_names())
def test_a_lessons_cells_stay_as_they_are_byte_for_byte_and_read_the_same_when_unwrapped(lesson):
    source = root() / "solutions" / f"{lesson}.py"
    cells = [c.source for c in jupytext.read(source, fmt="py:percent").cells if c.cell_type == "markdown"]
    assert cells
    read = MarkdownIt("commonmark").enable("table").render
    for cell in cells:
        assert with_translations(cell, lambda block: None) == cell
        unwrapped = with_translations(cell, lambda block: block.text)
        assert read(unwrapped).split() == read(cell).split()
        assert with_translations(unwrapped, lambda block: block.text) == unwrapped


CODE = """```python
a = "# no comment"  # to `b`, isn't it?
# whole line
b = f("x")[a] #no comment
c = 1  # 2
```

- an item

      d()    # aligned
      #!no comment"""


def test_comments_in_blocks_of_code_are_translated_and_the_code_is_not():
    comments = ["to `b`, isn't it?", "whole line", "aligned"]
    assert [block.text for block in blocks(CODE) if block.kind == COMMENT] == comments
    made = with_translations(CODE, lambda block: block.text.upper() if block.kind == COMMENT else None)
    for comment in comments:
        assert f"# {comment.upper()}\n" in made
        made = made.replace(comment.upper(), comment)
    assert made == CODE


WORDS = st.lists(st.sampled_from(["one", "**two**", "`three`", "$x$", "four,", "[five](a.md)", "6"]), min_size=1)
LINES = st.lists(WORDS.map(" ".join), min_size=1, max_size=3)
PIECES = st.one_of(
    LINES.map("\n".join),
    LINES.map(lambda lines: "- " + "\n  ".join(lines)),
    LINES.map(lambda lines: "> " + "\n> ".join(lines)),
    WORDS.map(lambda words: "### " + " ".join(words)),
    WORDS.map(lambda words: "```\n" + " ".join(words) + "\n```"),
    WORDS.map(lambda words: "| a b | c |\n|---|---|\n| " + " ".join(words) + " | d |"),
)


@given(st.lists(PIECES, min_size=1, max_size=5).map("\n\n".join))
def test_any_cell_keeps_what_is_not_translated(cell):
    assert with_translations(cell, lambda block: None) == cell
    found = blocks(cell)
    assert all(0 <= b.start < b.end <= len(cell.split("\n")) for b in found)
    assert all(a.end <= b.start for a, b in pairwise(found))
    translated = with_translations(cell, lambda block: block.text)
    assert [(b.kind, b.prefix, b.text) for b in blocks(translated)] == [(b.kind, b.prefix, b.text) for b in found]


def test_words_in_formulas_are_translated_and_names_are_not():
    cell = "Text.\n\n$$a_\\text{in} = b \\qquad\\text{or}$$\n\n$x_\\text{max}$"
    assert [block.text for block in blocks(cell)] == ["Text.", "$$a_\\text{in} = b \\qquad\\text{or}$$"]
    made = with_translations(cell, lambda block: block.text.replace("{or}", "{oder}"))
    assert made == cell.replace("{or}", "{oder}")
