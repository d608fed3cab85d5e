"""A lesson as it opens: unchanged until the learner changes it, and where the learner was."""

import pytest

from nnopt_lab.course.start_page import write
from nnopt_lab.course.workspace import START_PAGE

DIRTY = ".lm-DockPanel-tabBar .lm-TabBar-tab.jp-mod-dirty"
SCROLL = "document.querySelector('.jp-NotebookPanel:not(.lm-mod-hidden) .jp-WindowedPanel-outer').scrollTop"
IN_SIGHT = """text => [...document.querySelectorAll('.jp-Notebook h2')].some(heading => {
    const { top } = heading.getBoundingClientRect();
    return heading.textContent.includes(text) && 0 < top && top < innerHeight;
})"""


@pytest.mark.parametrize("lesson", ["00_start_here", "05_integers_by_hand", "15_capstone"])
def test_a_lesson_that_is_only_opened_is_unchanged(lab, lesson):
    opened = lab(f"{lesson}.ipynb")
    for _ in range(2):
        opened.page.wait_for_timeout(3000)  # the kernel has told its language
        assert opened.page.locator(DIRTY).count() == 0
        opened.page.reload()
        opened.page.wait_for_selector(".jp-Notebook .jp-Cell:visible")
        opened.page.locator("#jp-main-statusbar").get_by_text("| Idle").wait_for()
    opened.page.keyboard.press("Escape")
    opened.page.keyboard.press("b")
    opened.page.locator(DIRTY).wait_for()


def test_a_lesson_that_was_run_and_saved_is_unchanged_after_it_is_loaded_again(lab):
    opened = lab("02_convolutions.ipynb")
    for _ in range(3):
        opened.page.keyboard.press("Shift+Enter")
    opened.wait_until_idle()
    opened.save()
    opened.page.reload()
    opened.page.wait_for_selector(".jp-Notebook .jp-Cell:visible")
    opened.page.locator("#jp-main-statusbar").get_by_text("| Idle").wait_for()
    opened.page.wait_for_timeout(3000)
    assert opened.page.locator(DIRTY).count() == 0


def test_a_lesson_opens_again_where_the_learner_was_unless_a_link_says_where(lab, workspace):
    opened = lab("03_learning_rates.ipynb")
    page = opened.page
    page.locator(".jp-TableOfContents-tree .jp-tocItem-content", has_text="3. ").first.click()
    page.wait_for_function(f"{SCROLL} > 1000")
    page.reload()
    page.locator("#jp-main-statusbar").get_by_text("| Idle").wait_for()
    page.wait_for_function(f"{SCROLL} > 1000")
    with (workspace / "03_learning_rates.ipynb").open("a") as copy:
        copy.write(" ")
    write(workspace)
    opened.open(START_PAGE)
    link = page.locator(".jp-RenderedMarkdown a", has_text="03 Learning rates, section")
    heading = link.inner_text().split("section ")[1]
    link.click()
    page.wait_for_function(IN_SIGHT, arg=heading)
    page.wait_for_timeout(2000)
    assert page.evaluate(IN_SIGHT, heading)
    assert opened.errors == []
