"""The glossary, and the rule made of it."""

import pytest

from nnopt_lab.course.translation.catalogs import translated_languages
from nnopt_lab.course.translation.glossary import Term, glossary_file, read_glossary, rule

TERMS = [
    Term(("learning rate",), ("学习率",)),
    Term(("rate",), ("速率",)),
    Term(("batch",), ("批量", "一批")),
    Term(("prune", "pruning"), ("剪枝",)),
    Term(("matrix",), ("矩阵",)),
    Term(("ReLU",), ("ReLU",)),
    Term(("category",), ("类别",)),
]


@pytest.mark.parametrize(
    ("english", "translation", "missed"),
    [
        ("The learning rate", "学习率", []),
        ("The learning rates", "速率", ["learning rate"]),
        ("**Batches** and rates", "几组和速率", ["batch"]),
        ("Pruning a matrix", "对矩阵剪枝", []),
        ("two matrices", "两个", ["matrix"]),
        ("categories", "类", ["category"]),
        ("relu", "relu", []),
        ("`batch` and $rate$", "", []),
        ("unpruned, batching, learning-rate-like", "", []),
        ("a learning\nrate", "", ["learning rate"]),
        ("[Pruning at a rate](a.md), *The batch*", "[Pruning at a rate](a.md)、*The batch*", []),
        ("[Pruning](a.md), *the batch*", "[裁](a.md)、*组*", ["batch", "prune"]),
    ],
)
def test_a_term_needs_one_of_its_translations(english, translation, missed):
    assert [problem.split("”")[0][1:] for problem in rule(TERMS)(english, translation)] == missed


def test_without_terms_the_rule_finds_nothing():
    assert list(rule([])("batch", "x")) == []


def test_a_glossary_is_read(tmp_path):
    path = tmp_path / "glossary.csv"
    assert read_glossary(path) == []
    path.write_text('English,translation,note\nprune | pruning,剪枝,"a, b"\n', encoding="utf-8")
    assert read_glossary(path) == [Term(("prune", "pruning"), ("剪枝",), "a, b")]


@pytest.mark.parametrize(
    "text", ["a,b\n", "English,translation,note\nbatch,,\n", "English,translation,note\na,x,\nA | b,y,\n"]
)
def test_a_faulty_glossary_is_refused(tmp_path, text):
    path = tmp_path / "glossary.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"glossary\.csv"):
        read_glossary(path)


def test_the_glossaries_of_the_course_can_be_read():
    assert len(read_glossary(glossary_file("zh"))) >= 150
    for language in translated_languages():
        read_glossary(glossary_file(language))
