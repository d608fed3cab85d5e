"""What a translation must have in common with its English text."""

import pytest

from nnopt_lab.course.translation.checks import problems


def found(english, translation, kinds=("paragraph",)):
    return problems(english, translation, kinds, "zh")


@pytest.mark.parametrize(
    ("english", "translation"),
    [
        ("It has 268,650 parameters.", "共有 268,650 个参数。"),
        ("It has 268,650 parameters.", "参数共 268650 个。"),
        ("2 million pictures", "200 万张图片"),
        ("2,000 pictures", "2000 张图片"),
        ("A third of the 1,000 pictures", "1000 张图片的 1/3"),
        ("4.2 times fewer pictures", "图片减少到 1/4.2"),
        ("two of three layers, a half", "3 层中的 2 层，1/2"),
        ("from −0.5 to 0.5, 90 %", "从 −0.5 到 0.5，90%"),
        ("`a` and `b` of $x$ and $y$", "$y$ 与 $x$ 的 `b` 和 `a`"),
        (r"$a$ is $b \text{ or } c$", r"$a$ 是 $b \text{ 或 } c$"),
        ("More than 70 % of them", "超过 70%"),
        ("at least 3 layers, at most 5", "至少 3 层，至多 5 层"),
        ("a pass over a third of them, the cell below", "遍历其中 1/3，下面的单元格"),
        ("See [lesson 05](05_a.ipynb), section 7.", "见[第 05 课](05_a.ipynb)第 7 节。"),
        ("{0} of {1} pictures", "{1} 张图片中的 {0} 张"),
        ("**Bold** text", "**粗体**文字"),
        ("**Next:** text", "**接着**：文字"),
    ],
)
def test_what_agrees_has_no_problem(english, translation):
    assert found(english, translation) == []


@pytest.mark.parametrize(
    ("english", "translation", "named"),
    [
        ("It has 268,650 parameters.", "共有 268,560 个参数。", "268650"),
        ("It has 3 layers.", "有几层。", "3"),
        ("It has layers.", "有 4 层。", "4"),
        ("2 million pictures", "20 万张图片", "2000000"),
        ("−0.5 is enough", "0.5 就够了", "-0.5"),
        ("3 and 3 layers", "3 层", "3"),
        ("`fit` trains", "`fitt` 训练", "`fit`"),
        ("$x_1$ grows", "$x_2$ 增大", "$x_1$"),
        (r"$b \text{ or } x_\text{in}$", r"$b \text{ 或 } x_\text{入}$", "in"),
        ("a ≤ b always", "总有 a < b", "≤"),
        ("see [here](a.md) now", "见[这里](b.md)", "a.md"),
        ("see [here](a.md) now", "见这里", "link"),
        ("{0} of {1} pictures", "{0} 张图片", "{1}"),
        ("less than 3 layers", "多于 3 层", "less than"),
        ("at most 3 layers", "3 层", "at most"),
        ("over 3 layers", "3 层", "more than"),
        ("below {0} %", "{0}%", "less than"),
        ("at least twice as fast", "2 倍快", "at least"),
        ("**Bold** text", "粗体文字", "**"),
        ("**Next:** text", "**接着：**文字", "outside"),
        ("*Next (a)* text", "文字*（接着）*文字", "outside"),
        ("A text.", " 文字。", "White space"),
        ("A text.", "文\n字。", "line break"),
        ("A text.", "# 文字", "block"),
    ],
)
def test_what_differs_is_named(english, translation, named):
    assert any(named in problem for problem in found(english, translation))


def test_a_row_keeps_its_cells():
    assert found("| a layer | 3 |", "| 一层 | 3 |", ("table row",)) == []
    assert any("cells" in p for p in found("| a layer | 3 |", "| 一层 3 |", ("table row",)))


def test_only_labels_and_unchanged_code_may_stay_without_a_chinese_character():
    assert found("MyNet", "MyNet", ("label",)) == []
    assert found("MyNet trains.", "MyNet trains.") == ["It has no Chinese character."]
    assert found("return w.abs()", "return w.abs()", ("hint",)) == []
    assert found("Take magnitudes.", "Take them.", ("hint",)) == ["It has no Chinese character."]


@pytest.mark.parametrize(
    ("english", "right"), [("The shares add up to 1.", True), ("It is up to 2 times as fast.", False)]
)
def test_a_sum_is_no_inequality(english, right):
    translation = "各部分之和是 1。" if right else "速度是 2 倍。"
    assert any("at most" in problem for problem in found(english, translation)) is not right


def test_the_glossarys_rule_is_applied():
    assert problems("a text", "文字", ("claim",), "zh", lambda e, t: [f"{e} → {t}"]) == ["a text → 文字"]


def test_other_languages_are_only_compared():
    assert problems("more than 3 layers", "3,層", ("claim",), "ja") == []
