"""The live page in a browser: 200 learners, hidden names, nothing from elsewhere, and a fit on phone and projector."""

import random
import time

import pytest

from nnopt_lab.course import mistakes
from nnopt_lab.course.exercises import exercises, questions
from nnopt_lab.course.translation.library import library_messages
from nnopt_lab.grading.live.message import read
from tests.browser.test_book import contrast
from tests.grading.live.classes import EVIL, EXERCISE, LESSON, running, sent

ITEMS = [*exercises(LESSON), *questions(LESSON)]
FIRST = ("Li", "Anna", "Émile", "Zoë", "Олена", "محمد", "小明", "Wolfgang", "Ada", "Bo")
LAST = (
    "Na",
    "Ó Briain",
    "García Márquez",
    "Nguyễn",
    "Schmidt-Hohenzollern",
    "",
    "Öz",
    "van der Berg",
    "Kim",
    "Lovelace",
)


def learner(number: int, luck: random.Random) -> dict:
    """A learner of a class that is in the middle of lesson 01."""
    place = luck.randint(0, len(ITEMS) - 1)
    results = {id: [(exercises() | questions())[id].points, luck.randint(1, 3)] for id in ITEMS[:place]}
    tries = luck.choice((0, 1, 1, 2, 3, 4, 7))
    results |= {ITEMS[place]: [0, tries]} if tries else {}
    wrong = [
        [id, mistakes._declared(luck.choice(exercises()[id].wrong_answers[:3]).sentence), luck.randint(1, 400)]
        for id in luck.choices(list(exercises(LESSON))[:4], k=luck.randint(0, 2))
    ]
    name = f"{FIRST[number % 10]} {LAST[number // 10 % 10]}".strip()
    return sent(name, item=ITEMS[place], results=results, mistakes=wrong, idle=luck.choice((0, 5, 70, 400)))


@pytest.fixture
def here():
    with running() as served:
        yield served


@pytest.fixture
def crowd(here):
    """The class with 200 learners, of whom some have left or are away."""
    luck, now = random.Random(0), time.time()
    for number in range(200):
        message = learner(number, luck) | {"left": number % 40 == 7}
        here.board.receive(f"token {number}", read(message), now - (300 if number % 40 == 9 else 0))
    return here


@pytest.fixture
def opened(page):
    """Opens the page of a class; an error, or a request to another host, fails the test."""
    faults = []
    page.on("console", lambda message: faults.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: faults.append(str(error)))

    def open_page(here):
        own = f"http://127.0.0.1:{here.port}/"
        page.on("request", lambda request: None if request.url.startswith(own) else faults.append(request.url))
        page.goto(here.page_address)
        page.locator("#status", has_text=".").wait_for()
        return page

    yield open_page
    assert not faults


def rows(page):
    return page.locator("#learners > tbody > tr:visible")


def test_the_key_is_not_in_the_address_bar(opened, here):
    page = opened(here)
    assert page.url == f"http://127.0.0.1:{here.port}/"
    page.reload()
    assert "Nobody shares yet" in page.inner_text("#status")


def test_a_learner_appears_gets_stuck_and_leaves_without_a_reload(opened, here):
    page = opened(here)
    now = time.time()
    here.board.receive("token", read(sent()), now - 10)
    rows(page).filter(has_text="Anna").wait_for()
    assert "Nobody is stuck." in page.inner_text("#status")
    here.board.receive("token", read(sent(results={EXERCISE.id: [0, 5]})), now - 5)
    page.get_by_text("stuck: 5 tries").wait_for()
    assert page.inner_text("#status") == "1 learner is stuck."
    assert EXERCISE.wrong_answers[0].sentence in page.inner_text("#mistakes")
    here.board.receive("token", read(sent(left=True, results={EXERCISE.id: [2, 6]})), now)
    page.get_by_text("left, now").wait_for()
    assert page.get_by_role("img", name=f"1 of {len(ITEMS)} passed").is_visible()


def test_two_hundred_learners_are_found_ordered_and_counted(opened, crowd):
    page = opened(crowd)
    view = crowd.board.view(time.time())
    assert rows(page).count() == 200 and f"{view['here']} learners here" in page.inner_text("#count")
    stuck = sum(1 for one in view["learners"] if one["stuck"])
    assert stuck and page.inner_text("#status") == f"{stuck} learners are stuck."
    assert rows(page).nth(stuck - 1).locator(".stuck").count() and not rows(page).nth(stuck).locator(".stuck").count()
    page.fill("#search", "emile o briain")
    assert set(rows(page).locator(".name").all_inner_texts()) == {"Émile Ó Briain", "Émile Ó Briain (2)"}
    assert page.inner_text("#found") == "2 of 200"
    page.fill("#search", "stuck")
    assert rows(page).count() == stuck
    page.fill("#search", "")
    page.select_option("#order", "points")
    points = [int(text) for text in rows(page).locator("td:nth-child(5)").all_inner_texts()]
    assert points == sorted(points, reverse=True) and len(points) == 200
    assert page.locator("#mistakes tr").count() == 8
    (lesson,) = view["lessons"]
    assert page.locator("#lessons tbody tr").count() == len(lesson["items"]) == len(ITEMS)


def test_hidden_names_are_nowhere_on_the_page_and_stay_hidden(opened, here):
    for number, name in enumerate(("Anna", EVIL[:60], "Bo")):
        here.board.receive(f"token {number}", read(sent(name)), time.time())
    page = opened(here)
    rows(page).filter(has_text="Anna").wait_for()
    page.check("#anonymous")
    for again in (False, True):
        if again:
            page.reload()
            page.get_by_text("Learner 3", exact=True).wait_for()
        assert rows(page).locator(".name").all_inner_texts() == ["Learner 1", "Learner 2", "Learner 3"]
        text = page.content().partition("<script>")[0]
        assert "Anna" not in text and "onerror" not in text
    page.uncheck("#anonymous")
    assert "Anna" in page.content()


def test_names_are_text_and_never_html(opened, here):
    names = [EVIL[:60], "<script>document.title='evil'</script>", "&lt;b&gt;", "</td></table>x", "{{ 7*7 }}"]
    for number, name in enumerate(names):
        here.board.receive(f"token {number}", read(sent(name)), time.time())
    page = opened(here)
    rows(page).nth(4).wait_for()
    assert sorted(rows(page).locator(".name").all_inner_texts()) == sorted(names)
    assert page.title() == "The class, live" and page.locator("#learners img").count() == 0


def test_code_and_emphasis_in_the_courses_texts_are_formatted(opened, here):
    wrong = {
        mark: next((e.id, w.sentence) for e in exercises().values() for w in e.wrong_answers if mark in w.sentence)
        for mark in ("*input*", "`keep`")
    }
    sent_mistakes = [[id, mistakes._declared(sentence), 1] for id, sentence in wrong.values()]
    here.board.receive("token", read(sent(mistakes=sent_mistakes)), time.time())
    page = opened(here)
    assert page.locator("#mistakes em", has_text="input").count() and page.locator("#mistakes code").count()
    assert "`" not in page.inner_text("body") and "*input*" not in page.inner_text("body")


def test_a_row_is_removed_after_a_question(opened, here):
    here.board.receive("token", read(sent()), time.time())
    page = opened(here)
    asked = []
    page.once("dialog", lambda dialog: (asked.append(dialog.message), dialog.dismiss()))
    page.get_by_role("button", name="Remove Anna").click()
    assert "Remove Anna" in asked[0] and rows(page).count() == 1
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Remove Anna").click()
    rows(page).wait_for(state="detached")
    assert here.board.view(time.time())["learners"] == []


def test_focus_and_an_opened_lesson_survive_the_news(opened, crowd):
    page = opened(crowd)
    summary = page.locator("#lessons summary")
    summary.click()
    page.get_by_role("button", name="Remove").nth(150).focus()
    crowd.board.receive("one more", read(sent("Zz new", results={})), time.time())
    rows(page).filter(has_text="Zz new").wait_for()
    assert not page.locator("#lessons details").get_attribute("open")
    assert page.evaluate("document.activeElement.className") == "remove"


def test_a_server_that_ends_is_told_and_the_last_state_stays(page):
    page.on("pageerror", lambda error: pytest.fail(str(error)))
    with running() as here:
        here.board.receive("token", read(sent()), time.time())
        page.goto(here.page_address)
        rows(page).nth(0).wait_for()
        port, secrets, board = here.port, here.codes, here.board
    page.get_by_text("does not answer").wait_for()
    assert rows(page).count() == 1
    with running(board, port, secrets):
        page.locator("#trouble:empty").wait_for(state="attached")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [(390, 800), (1280, 720), (1920, 1080)])
def test_it_fits_a_phone_a_screen_and_a_projector_in_both_themes(opened, crowd, theme, size):
    crowd.board.receive("long", read(sent("Wolfeschlegelsteinhausenbergerdorff" + "_" * 25)), time.time())
    page = opened(crowd)
    page.emulate_media(color_scheme=theme)
    page.set_viewport_size({"width": size[0], "height": size[1]})
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    for what in ("#status", ".strip .passed", ".strip .failed", ".stuck"):
        ink, paper = page.evaluate(
            """what => {
                const { color, backgroundColor: own } = getComputedStyle(document.querySelector(what));
                const page = getComputedStyle(document.body).backgroundColor;
                return [color, own === 'rgba(0, 0, 0, 0)' ? page : own];
            }""",
            what,
        )
        assert contrast(ink, paper) >= 4.5, what


def test_a_screen_reader_finds_its_way(opened, crowd):
    page = opened(crowd)
    heads = page.locator("table:visible > thead > tr > th")
    assert heads.count() >= 14 and all(heads.nth(n).get_attribute("scope") == "col" for n in range(heads.count()))
    assert page.locator("#status").get_attribute("aria-live") == "polite"
    assert page.get_by_label("hide names").is_visible() and page.get_by_label("Order").is_visible()
    assert page.get_by_role("img", name=f"of {len(ITEMS)} passed").count() == 200


def test_the_page_speaks_the_language_in_use(crowd, browser, chinese):
    texts = library_messages()
    chinese({text: f"【{text}】" for text in texts})
    page = browser.new_page()
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(crowd.page_address)
    page.wait_for_selector("#learners tbody tr")
    shown = page.inner_text("body")
    for text in ("The class, live", "Learners", "latest try", exercises()[EXERCISE.id].title):
        assert f"【{text}】" in shown
    assert "【{here} learners here】".replace("{here}", str(crowd.board.view(time.time())["here"])) in shown
    assert not errors and page.evaluate("document.documentElement.lang") == "zh"
    page.close()
