"""Every gesture of the page, in a browser, against a running `vecspeak explore`; `make test-page` runs these."""

import json
import re
from pathlib import Path

import pytest

from page_driver import AXE, asked, first_label, pick_by_search, serious_faults, shot, spots, two_items

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
    # of tasks that nobody taught for this space only those that describe
    assert page.locator(".tasks button").all_inner_texts() == ["summary", "long description"]
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
    below = page.inner_text(".proof .below")
    assert re.search(r"the answer above \d\.\d\d .*, this one ", below) and "normally share few" in below
    shot(page, "prove")


def test_a_proof_stands_below_the_answer_that_it_proves(page, until):
    pick_by_search(page, first_label(page))
    asked(page)
    page.fill("input[name=question]", "What is the mood of it?")
    page.keyboard.press("Enter")
    until(page, "document.querySelectorAll('.turn:not(.waiting) .evidence').length === 2")
    page.get_by_role("button", name="Prove it").first.click()
    page.wait_for_selector(".proof:not(.waiting) .evidence", timeout=60_000)
    asked_, proof, other = page.locator(".turn h3").all_inner_texts()
    assert asked_ == "Describe it." and proof.startswith(asked_) and other.startswith("What is the mood")
    with page.expect_download() as got:
        page.get_by_role("button", name="Export Markdown").click()
    assert "Proof: The " in Path(got.value.path()).read_text()


def test_a_clause_that_comes_under_a_resting_pointer_opens_nothing(open_page):
    page = open_page(viewport={"width": 1300, "height": 520})
    page.wait_for_selector(".name:visible")
    pick_by_search(page, first_label(page))
    asked(page)
    page.locator(".clause").first.scroll_into_view_if_needed()
    box = page.locator(".clause").first.bounding_box()
    page.mouse.move(box["x"] + 5, box["y"] + 5)
    page.locator(".reasons:visible").wait_for()
    top = page.evaluate("document.querySelector('#panel .page').scrollTop")
    scroll = "top => { document.querySelector('#panel .page').scrollTop = top; }"
    page.evaluate(scroll, 0)  # the clause goes away from under the pointer
    page.locator(".reasons:visible").wait_for(state="detached")
    page.evaluate(scroll, top)
    page.wait_for_timeout(800)
    assert page.evaluate("document.querySelector('.clause:hover') !== null")
    assert page.locator(".reasons:visible").count() == 0
    assert page.locator(".looks:visible").count() == 1


def test_empty_space_is_a_point_made_of_its_neighbours(page):
    page.mouse.click(40, 800)
    page.wait_for_selector("#panel .asking")
    said = page.inner_text("#panel")
    assert "No item lies here: the vector is made of the items around" in said
    assert "nothing is near this place of the map" in said and "Inside the data" not in said
    assert re.search(r"(Its vector is farther from the data than \d+%|Outside the data)", said)
    asked(page)
    shot(page, "empty")


def test_a_place_is_written_as_a_sum_of_items_in_links_and_exports(page, open_page, until):
    page.mouse.click(40, 800)
    page.wait_for_selector("#panel .asking")
    asked(page)
    with page.expect_download() as got:
        page.get_by_role("button", name="Export JSON").click()
    (turn,) = json.loads(Path(got.value.path()).read_text())["turns"]
    assert re.fullmatch(r'(\d\S*\*id\("\w+"\)( \+ |$)){2,12}', turn["expression"])
    pulled(page)
    until(page, "document.querySelector('#panel h2').innerText === 'A place between items + 8 comedy'")
    until(page, "new URLSearchParams(location.hash.slice(1)).get('at').endsWith('8*comedy')")
    hash_, words = page.evaluate("location.hash"), page.inner_text(".facts .chips")
    again = open_page(hash_)
    again.wait_for_selector(".turn:not(.waiting) .evidence", timeout=60_000)
    assert again.inner_text(".facts .chips") == words
    assert again.inner_text("#panel h2") == "A point made of others"


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


def test_what_is_searched_is_the_second_point_where_one_is_waited_for(page):
    first, second = page.evaluate(
        "fetch('/v1/spaces/movies/labels').then(r => r.json()).then(r => [r.labels[3], r.labels[40]])"
    )
    pick_by_search(page, first)
    page.get_by_role("button", name="Why near another").click()
    searched(page, second)
    page.wait_for_selector(".shares li", timeout=60_000)
    assert page.inner_text("#panel h2") == f"{first} and {second}"
    page.get_by_role("button", name="Walk", exact=True).click()
    searched(page, f'"{second}" + 2 * comedy')  # no first was picked yet
    searched(page, "text: a wedding")
    page.wait_for_selector(".steps > li >> nth=6", timeout=60_000)
    assert page.inner_text("#panel h2") == f'"{second}" + 2 * comedy → a wedding'


def searched(page, text):
    page.get_by_role("combobox", name="Search items").fill(text)
    page.keyboard.press("Enter")
    page.wait_for_timeout(500)


ASKED = """asked => {
  const call = window.fetch;
  window.asked = [];
  window.fetch = (path, given) => {
    const point = () => JSON.parse(given.body).messages[0].content.at(-1);
    if (String(path).includes("/chat/")) window.asked.push(point().expression);
    return call(path, given);
  };
}"""


def pulled(page, times=4):
    slider = page.locator("input[name=amount]")
    slider.focus()
    for _ in range(times):
        page.keyboard.press("ArrowRight")


def test_a_slider_pulls_along_a_concept_and_words_and_answer_follow(page, until):
    label = first_label(page)
    pick_by_search(page, label)
    asked(page)
    words = page.inner_text(".facts .chips")
    pulled(page)
    until(page, "was => document.querySelector('.facts .chips').innerText !== was", words)
    until(page, "document.querySelectorAll('.turn:not(.waiting) .answer').length === 2")
    own, following = page.locator(".turn h3").all_inner_texts()
    assert own == "Describe it." and "8*comedy" in following and page.inner_text("output") == "+8"
    assert page.inner_text("#panel h2") == f"{label} + 8 comedy" and "+8 along" in page.inner_text(".kind")
    assert "8 comedy" in page.title()
    until(page, "new URLSearchParams(location.hash.slice(1)).get('at').endsWith('8*comedy')")
    shot(page, "slider")
    with page.expect_download() as got:
        page.get_by_role("button", name="Export JSON").click()
    turns = json.loads(Path(got.value.path()).read_text())["turns"]
    assert [one["expression"] for one in turns] == ['id("m3")', 'id("m3") + 8*comedy']
    # the answer of a pulled point is none of the item's own where it is opened again
    page.keyboard.press("Escape"), page.keyboard.press("Escape")
    pick_by_search(page, label)
    assert "8*comedy" in page.locator(".turn h3").nth(1).inner_text()
    until(page, "location.hash.split('q=').length === 2")


def test_an_answer_is_of_the_pulled_point_however_fast_the_slider_moves(page, until):
    page.route("**/pulls*", lambda route: (page.wait_for_timeout(900), route.continue_()))
    pick_by_search(page, first_label(page))
    asked(page)
    page.evaluate(ASKED)
    page.locator("select[name=concept]").dispatch_event("change")
    pulled(page)
    page.get_by_role("button", name="Describe it.").click()  # before the point has come
    until(page, "window.asked.length > 0")
    page.wait_for_timeout(1200)
    assert page.evaluate("window.asked") == ['id("m3") + 8*comedy']


def test_who_leaves_a_pulled_point_asks_nothing(page):
    label = first_label(page)
    pick_by_search(page, label)
    asked(page)
    page.evaluate(ASKED)
    page.evaluate(
        """async () => {
          const slider = document.querySelector("input[name=amount]");
          slider.value = 5; // a step from the middle
          slider.dispatchEvent(new Event("input"));
          while (!document.querySelector("#panel h2").innerText.endsWith("+ 2 comedy"))
            await new Promise((done) => setTimeout(done, 10));
          document.querySelector("#panel .close").click();
        }"""
    )
    page.wait_for_timeout(900)
    assert page.evaluate("window.asked") == []


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
    view = "new URLSearchParams(location.hash.slice(1)).get('view')"
    assert other.evaluate(view) == page.evaluate(view)


def test_a_link_whose_point_is_none_asks_nothing_of_another(page, until):
    pick_by_search(page, first_label(page))
    page.evaluate(ASKED)
    page.evaluate("location.hash = '#at=expr:no(&q=Who%3F'")
    page.wait_for_selector("#panel .doubt[role=alert]")
    page.evaluate("location.hash = '#at=item:nobody&q=Who%3F'")
    page.wait_for_selector("text=no item with the id nobody")
    page.wait_for_timeout(300)
    assert page.evaluate("window.asked") == [] and page.locator(".turn").count() == 0


def test_a_link_to_an_unknown_space_says_so(open_page, until):
    page = open_page("#model=movies&space=gone&at=item:m3&q=Who%3F")
    page.wait_for_selector("text=which this server has not")
    page.wait_for_timeout(300)
    assert page.locator("#panel:visible").count() == 0


def test_a_link_keeps_the_pulled_point_and_how_careful_the_answer_was(open_page, until):
    stub = "document.querySelectorAll('.turn').length"
    page = open_page("#at=expr:id(%22m3%22)%20%2B%208*comedy&careful=Describe%20it.")
    page.wait_for_selector(".turn h3 small:has-text('several drafts')")
    assert page.evaluate(stub) == 1 and page.inner_text("output") == "+8"
    label = page.evaluate("fetch('/v1/spaces/movies/labels').then(r => r.json()).then(r => r.labels[3])")
    assert page.inner_text("#panel h2") == f"{label} + 8 comedy"
    page.locator("input[name=amount]").press("ArrowLeft")
    until(page, "title => document.querySelector('#panel h2').innerText === title", f"{label} + 6 comedy")


def test_a_link_may_stand_between_the_steps_of_the_slider(open_page, until):
    page = open_page("#at=expr:id(%22m3%22)%20-%202.5*comedy")
    page.wait_for_selector("#panel h2:has-text('− 2.5 comedy')")
    assert page.inner_text("output") == "−2.5"
    until(page, "new URLSearchParams(location.hash.slice(1)).get('at').endsWith('-2.5*comedy')")


def test_a_space_that_changed_is_asked_nothing(page):
    def changed(route):
        found = route.request.headers.get("if-match", "")
        assert len(found) > 20
        route.fulfill(status=412, json={"error": {"message": "changed"}})

    pick_by_search(page, first_label(page))
    page.route("**/v1/chat/completions", changed)
    page.get_by_role("button", name="Describe it.").click()
    page.wait_for_selector("text=The space has changed since this page was opened")


def test_a_server_that_is_gone_is_said_and_the_old_colours_stay(page, until):
    until(page, "location.hash.includes('color=regions')")  # they have come, and are not only chosen
    before = page.locator("select[name=color]").input_value()
    page.route("**/v1/**", lambda route: route.abort())
    page.select_option("select[name=color]", "column:year")
    page.wait_for_selector("text=The server does not answer")
    assert page.locator("select[name=color]").input_value() == before
    assert "column" not in page.evaluate("location.hash")


def test_only_the_last_colour_is_drawn(page, until):
    page.route("**/colors/column*year*", lambda route: (page.wait_for_timeout(800), route.continue_()))
    page.select_option("select[name=color]", "column:year")
    page.select_option("select[name=color]", "column:genres")
    until(page, "document.querySelector('.legend').innerText.includes('Drama')")
    page.wait_for_timeout(1500)
    assert "Drama" in page.inner_text(".legend") and "genres" in page.evaluate("location.hash")


def test_the_address_claims_no_item_behind_a_walk_or_a_lasso_and_back_returns_to_it(page, until):
    label = first_label(page)
    pick_by_search(page, label)
    until(page, "location.hash.includes('at=item')")
    page.keyboard.press("Escape")  # leaves the search
    page.keyboard.press("l")
    page.keyboard.press("m")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=Words of its middle", timeout=90_000)
    assert "at=" not in page.evaluate("location.hash") and label not in page.title()
    page.go_back()
    page.wait_for_selector("#panel .asking")
    assert page.inner_text("#panel h2") == label


def test_at_its_limit_the_map_stays_where_it_is(page, until):
    middle = "new URLSearchParams(location.hash.slice(1)).get('view').split(',').slice(0, 2).join()"
    page.mouse.move(400, 400)
    for _ in range(12):
        page.mouse.wheel(0, 1000)
        page.wait_for_timeout(60)
    page.wait_for_timeout(400)
    before = page.evaluate(middle)
    page.mouse.wheel(0, 1000)
    page.wait_for_timeout(400)
    assert page.evaluate(middle) == before


def test_an_export_says_what_is_still_to_come(page):
    page.route("**/v1/chat/completions", lambda route: None)
    pick_by_search(page, first_label(page))
    page.get_by_role("button", name="Describe it.").click()
    page.wait_for_selector(".turn.waiting")
    with page.expect_download() as got:
        page.get_by_role("button", name="Export Markdown").click()
    assert "still being made" in Path(got.value.path()).read_text()


def test_a_question_is_shown_as_it_was_typed(page):
    pick_by_search(page, first_label(page))
    page.fill("input[name=question]", "What is 2+2?")
    page.keyboard.press("Enter")
    page.wait_for_selector(".turn:not(.waiting)", timeout=60_000)
    assert page.inner_text(".turn h3") == "What is 2+2?"


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
    page.get_by_role("button", name="Read this person").click()
    page.wait_for_selector("text=Nothing is rated yet")
    page.locator(".rated select").nth(0).select_option("5")
    page.locator(".rated select").nth(1).select_option("1")
    page.get_by_role("button", name="Read this person").click()
    page.wait_for_selector("text=May like less", timeout=60_000)
    said = page.inner_text("#panel .page")
    assert (
        said.startswith("2 ratings tell little of a person") and f"no rating was chosen: {labels[2]}." in said
    )
    facts = page.inner_text("#panel .tastes >> nth=0") + page.inner_text("#panel .facts >> nth=0")
    assert "%" not in facts and page.locator("#panel .bar").count() == 0
    shot(page, "person")


def test_of_ten_ratings_it_is_said_how_much_is_liked(page):
    page.get_by_role("button", name="Person").click()
    page.wait_for_selector("input[name=rated]")
    labels = page.evaluate(
        "fetch('/v1/spaces/narrow/labels').then(r => r.json()).then(r => r.labels.slice(0, 10))"
    )
    for number, label in enumerate(labels):
        page.fill("input[name=rated]", label)
        page.keyboard.press("Enter")
        page.locator(".rated select").nth(number).select_option(str(1 + number % 5))
    page.get_by_role("button", name="Read this person").click()
    page.wait_for_selector("text=Likes more than others", timeout=60_000)
    assert "people of whom less is predicted" in page.inner_text("#panel")


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


def test_a_space_without_regions_is_coloured_by_a_column_and_says_what_makes_them(page, until):
    page.select_option("select[name=space]", "1")
    until(page, "document.querySelector('select[name=color]').value === 'column:genres'")
    page.wait_for_selector(".legend:has-text('vecspeak atlas BUNDLE')")


def test_a_search_without_a_find_offers_what_is_most_alike(page, until):
    page.select_option("select[name=space]", "1")  # which has no vectors for texts
    until(page, "document.querySelector('select[name=color]').value === 'column:genres'")
    label = page.evaluate("fetch('/v1/spaces/narrow/labels').then(r => r.json()).then(r => r.labels[3])")
    searched(page, label[:4] + label[5:] + "x")
    page.wait_for_selector("text=Type letters of a label, an id, or an expression")
    assert label in page.locator(".found [role=option]").all_inner_texts()[:2]
    page.keyboard.press("ArrowDown"), page.keyboard.press("Enter")
    page.wait_for_selector("#panel .asking")
    searched(page, "m7")
    until(page, "location.hash.includes('item%3Am7')")


def test_a_click_beside_an_item_or_a_name_is_of_the_place(page, until):
    name = page.locator(".name:visible").first.bounding_box()
    page.mouse.click(name["x"] + 2, name["y"] + name["height"] / 2)  # beside the letters
    page.wait_for_selector("#panel .asking")
    page.keyboard.press("Escape")
    everything = spots(page)
    x, y = next(
        (x, y)
        for label, x, y in everything
        if 60 < x < 1200 and 90 < y < 760
        and all(abs(x - u) + abs(y - v) > 30 for other, u, v in everything if other != label)
        and page.evaluate("([x, y]) => !document.elementFromPoint(x + 8, y).closest('button')", [x, y])
    )  # fmt: skip
    page.mouse.click(x + 8, y)
    page.wait_for_selector("#panel h2:has-text('A place between items')")
    page.mouse.click(x + 3, y)
    until(page, "location.hash.includes('at=item')")


def test_the_key_is_asked_for_and_goes_with_every_call(open_page, locked_address):
    page = open_page(at=locked_address)
    page.fill("input[name=key]", "wrong")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=That is not the key.")
    page.fill("input[name=key]", "sesame")
    page.keyboard.press("Enter")
    page.wait_for_selector(".name:visible")


def test_a_key_that_is_none_any_more_is_asked_for_again(open_page, locked_address, until):
    page = open_page(at=locked_address)
    page.fill("input[name=key]", "сезам")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=A key has no letter such as")
    page.fill("input[name=key]", "sesame")
    page.keyboard.press("Enter")
    page.wait_for_selector(".name:visible")
    until(page, "document.querySelector('select[name=color]').value.startsWith('regions')")
    page.wait_for_load_state("networkidle")
    page.evaluate("sessionStorage.setItem('vecspeak-key', 'old')")
    page.keyboard.press("/")
    page.keyboard.type("a")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=That is not the key.")
    page.keyboard.press("Tab"), page.keyboard.press("Tab")
    page.keyboard.press("w")  # of a page that is gone
    page.fill("input[name=key]", "sesame")
    page.keyboard.press("Enter")
    page.wait_for_selector("#panel .asking")


def test_keys_before_the_spaces_have_come_do_nothing(page):
    held = []
    page.route("**/v1/spaces?*", lambda route: held.append(route))
    page.reload()
    page.wait_for_timeout(300)
    for key in ("w", "Escape", "+", "q", "/"):
        page.keyboard.press(key)
    for route in held:
        route.continue_()
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
