"""A lesson as it opens: unchanged until the learner changes it, and where the learner was."""

from itertools import pairwise

import nbformat
import pytest

from nnopt_lab.course import last_work, record
from nnopt_lab.course.start_page import write
from nnopt_lab.course.workspace import START_PAGE
from tests.browser.lab_page import LabPage, write_notebook

DIRTY = ".lm-DockPanel-tabBar .lm-TabBar-tab.jp-mod-dirty"
SCROLL = "document.querySelector('.jp-NotebookPanel:not(.lm-mod-hidden) .jp-WindowedPanel-outer').scrollTop"
IN_SIGHT = """text => [...document.querySelectorAll('.jp-Notebook h2')].some(heading => {
    const { top } = heading.getBoundingClientRect();
    return heading.textContent.includes(text) && 0 < top && top < innerHeight;
})"""

# JupyterLab draws a notebook's cells while the browser is idle, as a computer with other work seldom is.
SELDOM_IDLE = """window.requestIdleCallback =
    draw => setTimeout(() => draw({ didTimeout: false, timeRemaining: () => 1 }), 1000)"""


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
    for noted in (record.FILE, last_work.FILE):  # of other tests' lessons
        (workspace / noted).unlink(missing_ok=True)
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


def test_titles_in_the_contents_are_read_in_full_and_a_narrow_window_has_room_for_the_lesson(lab):
    page = lab("02_convolutions.ipynb").page
    titles = page.locator(".jp-TableOfContents-tree .jp-tocItem-content")
    titles.get_by_text("5. Stride instead of pooling, in a trained network").wait_for()
    boxes = titles.evaluate_all("""titles => titles.map(title => {
        const { top, bottom } = title.getBoundingClientRect();
        return [top, bottom, title.scrollWidth <= title.clientWidth];
    })""")
    assert all(is_whole for *_, is_whole in boxes)
    assert all(above[1] <= below[0] + 1 for above, below in pairwise(boxes))
    for width, is_shown in ((900, False), (1280, True)):
        page.set_viewport_size({"width": width, "height": 900})
        titles.first.wait_for(state="visible" if is_shown else "hidden")
    page.set_viewport_size({"width": 900, "height": 900})
    titles.first.wait_for(state="hidden")
    page.locator(".jp-SideBar [title^='Table of Contents']").first.click()
    titles.first.wait_for()


def test_a_folded_cell_shows_its_number_of_execution(lab):
    opened = lab("04_batch_sizes.ipynb")
    bar = opened.page.locator(".jp-Notebook .jp-InputPlaceholder .jp-Placeholder-prompt").first
    bar.get_by_text("[ ]:").wait_for()
    for _ in range(2):
        opened.page.keyboard.press("Shift+Enter")
    bar.get_by_text("[1]:").wait_for()


def test_folded_cells_are_quiet_lines_and_a_block_where_they_have_no_outputs(lab, workspace):
    labels = ("Imports: one", "Numbers: two")
    hidden = {"jupyter": {"source_hidden": True}}
    cells = [nbformat.v4.new_code_cell(f"# {label}\nx = 1", metadata=hidden) for label in labels]
    page = lab(write_notebook(workspace / "folded.ipynb", cells)).page
    folds = [page.locator(".jp-Notebook .jp-PlaceholderText").get_by_text(label, exact=True) for label in labels]
    above, below = (fold.bounding_box() for fold in folds)
    assert below["y"] - above["y"] < 24
    assert page.locator(".nnopt-grouped").count() == 2 and page.locator(".nnopt-last-fold").count() == 1
    number = page.locator(".jp-Placeholder-prompt").nth(1)
    assert number.evaluate("prompt => getComputedStyle(prompt).opacity") == "0"
    folds[1].hover()
    assert number.evaluate("prompt => getComputedStyle(prompt).opacity") != "0"
    folds[1].click()
    code, bar = page.locator(".jp-CodeCell .cm-content").last, page.locator(".jp-Cell-inputCollapser").last
    code.get_by_text("x = 1").wait_for()
    bar.click()
    folds[1].wait_for()
    page.keyboard.press("Enter")
    code.get_by_text("x = 1").wait_for()


def test_an_entry_of_the_contents_and_a_reload_lead_to_a_cell_that_was_not_drawn_yet(lab):
    opened = lab()  # without a lesson
    page = opened.page
    page.set_default_timeout(40_000)
    page.add_init_script(SELDOM_IDLE)
    opened.open("12_hardware.ipynb")
    assert page.locator(".jp-Notebook .jp-Cell h2", has_text="7. The ladder").count() == 0
    page.locator(".jp-TableOfContents-tree .jp-tocItem-content", has_text="The ladder").click()
    page.wait_for_function(IN_SIGHT, arg="7. The ladder")
    page.locator(".jp-Notebook .jp-Cell.jp-mod-active:focus", has_text="7. The ladder").wait_for()
    page.reload()
    page.wait_for_function(IN_SIGHT, arg="7. The ladder")
    page.locator(".jp-Notebook .jp-Cell.jp-mod-active", has_text="7. The ladder").wait_for()
    assert opened.errors == []


def test_what_is_run_while_the_kernel_starts_waits_for_it(page, server, workspace):
    write_notebook(workspace / "early.ipynb", ["print('early ' * 3)"])
    held = []
    page.route(
        "**/api/sessions*", lambda route: held.append(route) if route.request.method == "POST" else route.continue_()
    )
    address, token = server
    opened = LabPage(page, address, token)
    page.goto(f"{address}/lab/tree/early.ipynb?token={token}&reset")  # without the tabs of other tests
    page.wait_for_selector(".jp-Notebook .jp-Cell:visible")
    opened.menu("Run", "Run All Cells")
    page.wait_for_timeout(1000)
    assert page.locator(".jp-Dialog").count() == 0
    assert held
    for route in held:
        route.continue_()
    opened.outputs("early early").wait_for()
    assert page.locator(".jp-Dialog").count() == 0 and opened.errors == []


def test_the_readers_place_stays_while_outputs_arrive_above_and_when_the_last_cell_has_run(lab, workspace):
    signal = workspace / "signal"
    wait = f"import pathlib, time\nwhile not pathlib.Path({str(signal)!r}).exists():\n    time.sleep(0.1)"
    tall = f"{wait}\nprint('1\\n' * 80)"
    sources = [tall, tall, *["print(2)"] * 30, "from IPython.display import HTML\nHTML('<p role=note>The end</p>')"]
    sources.insert(2, nbformat.v4.new_markdown_cell("## The place"))
    opened = lab(write_notebook(workspace / "place.ipynb", sources))
    opened.menu("Run", "Run All Cells")
    opened.page.locator(".jp-Notebook .jp-Cell.jp-mod-active", has_text="The end").wait_for()
    heading = opened.page.locator(".jp-Notebook h2")
    heading.evaluate("heading => heading.scrollIntoView()")
    opened.page.wait_for_timeout(300)
    place, scrolled = heading.bounding_box()["y"], opened.page.evaluate(SCROLL)
    signal.touch()
    opened.outputs("The end").wait_for(state="attached")
    opened.page.wait_for_timeout(1000)
    assert opened.page.evaluate(SCROLL) > scrolled + 1000
    assert heading.bounding_box()["y"] == pytest.approx(place, abs=2)


def test_a_second_tab_of_the_browser_has_the_contents_too_and_keeps_them_closed(lab, server):
    address, token = server
    second = lab().page.context.new_page()  # beside a first one, which has the workspace
    second.goto(f"{address}/lab/tree/02_convolutions.ipynb?token={token}")
    titles = second.locator(".jp-TableOfContents-tree .jp-tocItem-content")
    titles.first.wait_for()
    assert "/workspaces/" in second.url
    with second.expect_request(lambda request: "/api/workspaces/" in request.url and request.method == "PUT"):
        second.locator(".jp-SideBar [title^='Table of Contents']").first.click()
    titles.first.wait_for(state="hidden")
    second.wait_for_timeout(1000)
    second.reload()
    second.locator("#jp-main-statusbar").get_by_text("| Idle").wait_for()
    second.wait_for_timeout(1000)
    assert not titles.first.is_visible()
    assert not second.locator(".jp-FileBrowser").is_visible()
