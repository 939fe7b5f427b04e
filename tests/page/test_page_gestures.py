"""Every gesture of the page, in a browser, against a running `vecspeak explore`; `make test-page` runs these."""

import json
import re
from pathlib import Path

import pytest

from page_driver import AXE, asked, first_label, pick_by_search, serious_faults, shot, two_items

pytestmark = pytest.mark.browser


def test_an_item_is_found_read_and_asked_and_each_clause_says_why(page):
    label = first_label(page)
    pick_by_search(page, label)
    assert page.inner_text("#panel h2") == label
    assert "have nearer neighbours" in page.inner_text(".distance")
    assert page.locator(".facts .chip").count() >= 3 and "%" in page.inner_text(".chip >> nth=0")
    asked(page)
    clause = page.locator(".clause").first
    clause.focus()
    reasons = page.locator(".clause:focus + .reasons")
    assert "Holds with" in reasons.inner_text() and reasons.locator(".reason").count() >= 4
    shot(page, "answer")
    assert "fits its vector" in page.inner_text(".evidence summary >> nth=0")


def test_a_question_of_ones_own_and_a_task(page, until):
    pick_by_search(page, first_label(page))
    page.fill("input[name=question]", "What is the mood of {x}?")
    page.keyboard.press("Enter")
    page.wait_for_selector(".turn:not(.waiting)", timeout=60_000)
    page.click(".tasks summary")
    assert page.locator(".tasks button").count() >= 15
    page.get_by_role("button", name="summary", exact=True).click()
    until(page, "document.querySelectorAll('.turn:not(.waiting) .evidence').length >= 2")
    shot(page, "task")
    assert page.locator(".turn h3").nth(1).inner_text().startswith("Summarize")


def test_a_text_and_an_expression_are_points_too(page):
    page.keyboard.press("/")
    page.keyboard.type("a funny film about a wedding")
    page.wait_for_selector("text=the vector of this text")
    shot(page, "search-text")
    page.keyboard.press("Enter")
    page.wait_for_selector("#panel .asking", timeout=60_000)
    assert page.inner_text(
        "#panel h2"
    ) == "a funny film about a wedding" and "by its own vector" in page.inner_text(".kind")
    asked(page)
    shot(page, "text")
    label = first_label(page)
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    page.keyboard.type(f'"{label}" + 2 * comedy')
    page.keyboard.press("Enter")
    page.wait_for_selector("#panel h2:has-text('2 * comedy')")
    page.wait_for_selector("#panel .asking")


def test_the_same_is_asked_of_another_vector_to_prove_it(page):
    pick_by_search(page, first_label(page))
    asked(page)
    page.get_by_role("button", name="Prove it").click()
    page.wait_for_selector(".proof:not(.waiting) .evidence", timeout=60_000)
    own, other = page.locator(".answer").all_inner_texts()[:2]
    assert own != other and "asked of the vector of" in page.inner_text(".proof h3")
    assert "words of the first answer" in page.inner_text(".proof .below")
    shot(page, "prove")


def test_empty_space_is_a_point_made_of_its_neighbours(page):
    page.mouse.click(40, 800)
    page.wait_for_selector("#panel .asking")
    said = page.inner_text("#panel")
    assert "No item lies here: the vector is made of the items around" in said
    assert re.search(r"(Inside the data|At the edge|Outside the data)", said)
    asked(page)
    shot(page, "empty")


def test_colours_by_column_concept_word_and_regions(page, until):
    for value, words in (
        ("column:genres", "Drama"),
        ("column:year", "year"),
        ("concept:comedy", "along comedy"),
    ):
        page.select_option("select[name=color]", value)
        until(page, "words => document.querySelector('.legend').innerText.includes(words)", words)
    page.select_option("select[name=color]", "word:")
    page.fill("input[name=word]", "war")
    page.keyboard.press("Enter")
    until(page, "document.querySelector('.legend').innerText.includes('reads “war”')")
    shot(page, "glow")
    page.get_by_role("button", name="One colour again").click()
    page.wait_for_selector(".legend", state="hidden")


def test_a_drag_from_a_to_b_walks_between_them(page):
    (first, at), (second, to) = two_items(page)
    page.keyboard.press("w")
    page.mouse.move(*at)
    page.mouse.down()
    page.mouse.move(*to, steps=6)
    page.mouse.up()
    page.wait_for_selector(".steps > li >> nth=6", timeout=60_000)
    assert page.inner_text("#panel h2") == f"{first} → {second}"
    shot(page, "walk")
    page.locator(".step").nth(3).click()
    page.wait_for_selector("#panel .asking")
    assert page.inner_text("#panel h2").startswith("50% from")


def test_two_items_are_picked_and_it_says_why_they_are_near(page):
    (first, at), (second, to) = two_items(page)
    page.keyboard.press("y")
    page.mouse.click(*at)
    page.mouse.click(*to)
    page.wait_for_selector(".shares li", timeout=60_000)
    assert page.inner_text("#panel h2") == f"{first} and {second}"
    parts = [float(one.replace("−", "-")) for one in page.locator(".shares b").all_inner_texts()]
    score = float(re.search(r"Cosine (-?[\d.]+)", page.inner_text("#panel"))[1])
    assert sum(parts) == pytest.approx(score, abs=0.01)
    shot(page, "why")


def test_a_slider_pulls_along_a_concept_and_words_and_answer_follow(page, until):
    pick_by_search(page, first_label(page))
    asked(page)
    words, answer = page.inner_text(".facts .chips"), page.inner_text(".answer")
    slider = page.locator("input[name=amount]")
    slider.focus()
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    until(page, "was => document.querySelector('.facts .chips').innerText !== was", words)
    until(
        page,
        "was => { const now = document.querySelector('.turn:not(.waiting) .answer');"
        " return now && now.innerText !== was; }",
        answer,
    )
    assert page.locator(".turn").count() == 1 and page.inner_text("output") == "+8"
    shot(page, "slider")


def test_a_lasso_is_described(page):
    page.keyboard.press("l")
    page.mouse.move(300, 250)
    page.mouse.down()
    for corner in ((700, 250), (700, 600), (300, 600)):
        page.mouse.move(*corner, steps=4)
    page.mouse.up()
    page.wait_for_selector("text=Words of its middle", timeout=90_000)
    assert re.fullmatch(r"\d+ items", page.inner_text("#panel h2"))
    shot(page, "lasso")


def test_names_have_levels_and_the_last_is_described(page):
    page.wait_for_selector(".name.level0:visible")
    for _ in range(6):
        page.get_by_role("button", name="Closer").click()
        if page.locator(".name.level2:visible").count():
            break
    last = page.locator(".name.level2:visible, .name.level1:visible").first
    name = last.inner_text()
    last.click()
    if page.locator(".name.level2").count():
        page.wait_for_selector("text=Words of its middle", timeout=90_000)
        assert page.inner_text("#panel h2") == name
    shot(page, "region")


def test_all_of_it_by_keys_alone(page):
    page.keyboard.press("m")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.wait_for_selector("#panel .asking")
    page.keyboard.press("q")
    page.keyboard.type("Describe {x}.")
    page.keyboard.press("Enter")
    page.wait_for_selector(".turn:not(.waiting) .evidence", timeout=60_000)
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    page.wait_for_selector("#panel", state="hidden")
    page.keyboard.press("l")
    page.keyboard.press("]")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=Words of its middle", timeout=90_000)
    page.keyboard.press("Escape")
    page.keyboard.press("w")
    page.keyboard.press("Enter")
    for _ in range(8):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_selector(".steps > li >> nth=6", timeout=60_000)


def test_a_link_opens_the_same_point_and_asks_its_questions_again(page, open_page, address, until):
    label = first_label(page)
    pick_by_search(page, label)
    asked(page)
    until(page, "location.hash.includes('q=')")
    answer = page.inner_text(".answer")
    other = open_page(page.url.removeprefix(address))
    other.wait_for_selector(".turn:not(.waiting) .evidence", timeout=60_000)
    assert other.inner_text("#panel h2") == label and other.inner_text(".answer") == answer


def test_a_conversation_is_exported_and_stays_with_its_point(page, until):
    label = first_label(page)
    pick_by_search(page, label)
    asked(page)
    with page.expect_download() as got:
        page.get_by_role("button", name="Export Markdown").click()
    text = Path(got.value.path()).read_text()
    assert text.startswith(f"# {label}") and "## Describe it." in text and "Round trip" in text
    with page.expect_download() as got:
        page.get_by_role("button", name="Export JSON").click()
    found = json.loads(Path(got.value.path()).read_text())
    assert found["turns"][0]["evidence"]["clauses"] and found["link"].startswith("http://127.0.0.1")
    page.locator(".facts .near button").first.click()
    until(page, "was => document.querySelector('#panel h2').innerText !== was", label)
    assert page.locator(".turn").count() == 0
    page.keyboard.press("Escape")
    pick_by_search(page, label)
    assert page.locator(".turn").count() == 1


def test_ratings_become_a_profile(page):
    page.get_by_role("button", name="Person").click()
    page.wait_for_selector("input[name=rated]")
    labels = page.evaluate(
        "fetch('/v1/spaces/narrow/labels').then(r => r.json()).then(r => r.labels.slice(0, 3))"
    )
    for label in labels:
        page.fill("input[name=rated]", label)
        page.keyboard.press("Enter")
    page.locator(".rated select").nth(1).select_option("1")
    page.get_by_role("button", name="Read this person").click()
    page.wait_for_selector("text=Likes more than others", timeout=60_000)
    assert "people of whom less is predicted" in page.inner_text("#panel")
    shot(page, "person")


def test_a_more_careful_answer_is_made_of_several_drafts(page):
    pick_by_search(page, first_label(page))
    asked(page)
    page.get_by_role("button", name="More careful").click()
    page.wait_for_selector(".turn:nth-child(2):not(.waiting) .evidence", timeout=180_000)
    careful = page.locator(".turn").nth(1)
    assert "several drafts" in careful.locator("h3").inner_text()
    careful.locator(".clause").first.focus()
    assert re.search(r"Its words come in \d+% of the drafts", page.inner_text(".clause:focus + .reasons"))
    assert "drafts agree" in careful.locator(".evidence summary").first.inner_text()
    assert careful.get_by_role("button", name="More careful").count() == 0
    shot(page, "careful")


def test_two_spaces_lie_side_by_side_and_what_moved_is_named(page):
    page.select_option("select[name=beside]", "1")
    page.wait_for_selector("text=Moved most", timeout=90_000)
    assert page.locator(".map").count() == 2 and "stay; by chance" in page.inner_text(".verdict")
    if page.locator(".near.moved button").count():
        label = page.locator(".near.moved button").first.inner_text()
        shot(page, "beside")
        page.locator(".near.moved button").first.click()
        page.wait_for_selector("#panel .asking")
        assert page.inner_text("#panel h2") == label


def test_the_key_is_asked_for_and_goes_with_every_call(open_page, locked_address):
    page = open_page(at=locked_address)
    page.fill("input[name=key]", "wrong")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=That is not the key.")
    page.fill("input[name=key]", "sesame")
    page.keyboard.press("Enter")
    page.wait_for_selector(".name:visible")


def test_labels_with_markup_in_them_stay_text(page):
    page.evaluate("Object.defineProperty(window, 'hurt', {value: false, writable: true})")
    pick_by_search(page, first_label(page))
    page.fill("input[name=question]", "<img src=x onerror='hurt = true'> {x}?")
    page.keyboard.press("Enter")
    page.wait_for_selector(".turn:not(.waiting)", timeout=60_000)
    assert "<img src=x" in page.inner_text(".turn h3") and page.evaluate("window.hurt") is False


@pytest.mark.parametrize(
    ("scheme", "width"), [("light", 1300), ("dark", 1300), ("light", 400), ("dark", 400)]
)
def test_axe_finds_no_serious_fault_in_any_state(open_page, until, scheme, width):
    if not AXE.exists():
        pytest.skip("axe-core is not installed: npm ci in web")
    view = {"width": width, "height": 850}
    page = open_page(color_scheme=scheme, viewport=view, bypass_csp=True, reduced_motion="reduce")
    page.wait_for_selector(".name:visible")
    found = {}

    def look(state):
        shot(page, f"axe-{scheme}-{width}-{state}")
        if faults := serious_faults(page):
            found[state] = faults

    look("start")
    pick_by_search(page, first_label(page))
    look("item")
    asked(page)
    page.click(".turn .evidence summary")
    look("answer")
    page.locator(".clause").first.focus()
    look("reasons")
    page.click(".tasks summary")
    look("tasks")
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    page.select_option("select[name=color]", "column:genres")
    until(page, "document.querySelector('.legend').innerText.includes('Drama')")
    look("colours")
    page.keyboard.press("l")
    page.keyboard.press("m")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=Words of its middle", timeout=90_000)
    look("lasso")
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    (_, at), (_, to) = two_items(page)
    page.keyboard.press("w")
    page.mouse.click(*at)
    look("first of two")
    page.mouse.click(*to)
    page.wait_for_selector(".steps > li >> nth=6", timeout=60_000)
    look("walk")
    page.keyboard.press("?")
    page.wait_for_selector("dialog[open]")
    look("help")
    assert found == {}


@pytest.mark.parametrize("width", [400, 800, 1300, 2560])
def test_nothing_is_cut_off_at_any_width(open_page, width):
    page = open_page(viewport={"width": width, "height": 800})
    page.wait_for_selector(".name:visible")
    pick_by_search(page, first_label(page))
    shot(page, f"width-{width}")
    for name in (".top", "#panel", ".ask"):
        for one in page.query_selector_all(name):
            box = one.bounding_box()
            assert box["x"] >= 0 and box["x"] + box["width"] <= width + 1
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_page_names_no_other_place_and_runs_no_text_as_code(address, open_page):
    import httpx

    reply = httpx.get(address)
    policy = reply.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "connect-src 'self'" in policy
    script = httpx.get(f"{address}page/page.js").text
    for word in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "new Function",
        "https://",
    ):
        assert word not in script
