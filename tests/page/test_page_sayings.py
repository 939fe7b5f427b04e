"""What the page says is what the server's figures mean, also of items without a name of their own."""

import json
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from page_driver import AXE, first_label, pick_by_search, serious_faults, shot, until
from vecspeak.notebook import map_widget

pytestmark = pytest.mark.browser
LABELS = "fetch('/v1/spaces/movies/labels').then(r => r.json())"
PAD = "~" * 12_000


def opened(open_page, *routes, **options):
    """The page, of which some routes answer something else."""
    page = open_page(**options)
    page.wait_for_selector(".name:visible")
    for at, answer in routes:
        page.route(at, answer)
    if routes:
        page.reload()
        page.wait_for_selector(".name:visible")
        until(page, "document.querySelector('select[name=color]').value.startsWith('regions')")
    return page


def with_labels(change):
    """A route that gives other ids or labels than the server does."""

    def answer(route):
        given = route.fetch()
        route.fulfill(response=given, json=change(given.json()))

    return "**/movies/labels*", answer


def searched(page, text):
    page.get_by_role("combobox", name="Search items").fill(text)
    page.keyboard.press("Enter")


def test_a_value_colours_the_map_by_itself_and_a_link_keeps_it(open_page):
    page = opened(open_page)
    label = page.evaluate(LABELS)["labels"][1]
    pick_by_search(page, label)
    chip = page.locator(".facts .chip:has(small)").first
    value, column = chip.locator("span small").evaluate(
        "one => [one.parentNode.firstChild.data, one.innerText.trim()]"
    )
    chip.click()
    named = f"reads “{value} ({column})”"
    until(page, "named => document.querySelector('.legend')?.innerText.includes(named)", named)
    until(page, "location.hash.includes('color=word')")
    again = open_page(page.evaluate("location.hash"))
    until(again, "named => document.querySelector('.legend')?.innerText.includes(named)", named)


def test_a_lasso_that_is_read_in_part_says_so(open_page):
    long_ids = with_labels(lambda given: given | {"ids": [one + PAD for one in given["ids"]]})

    def short(route):
        ids = [one.removesuffix(PAD) for one in route.request.post_data_json["ids"]]
        route.continue_(post_data=json.dumps({"ids": ids, "reader": False}))

    page = opened(open_page, long_ids, ("**/sets*", short))
    page.keyboard.press("l")
    page.mouse.move(2, 60)
    page.mouse.down()
    for corner in ((1298, 60), (1298, 840), (160, 840)):
        page.mouse.move(*corner, steps=3)
    with page.expect_request("**/sets*") as sent:
        page.mouse.up()
    read = len(sent.value.post_data_json["ids"])
    page.wait_for_selector("text=Words of its middle", timeout=90_000)
    count = int(page.inner_text("#panel h2").split()[0])
    assert read < count < 600
    said = page.inner_text("#panel .page")
    assert f"{count} items, {count / 6:.1f}% of the space" in said
    assert f"what follows is of {read} items, drawn evenly of the {count}" in said
    assert "in all others, the rest of these items included" in said
    assert "the rest of these items is among them" in said
    shot(page, "lasso-in-part")


def test_a_link_of_two_spaces_and_the_way_back_show_what_they_have_in_common(open_page):
    page = open_page("#model=movies&space=movies&beside=movies%2Fnarrow")
    page.wait_for_selector("text=Moved most", timeout=90_000)
    said = page.inner_text("#panel .page")
    assert "lies farther from where" in said or "lie farther from where" in said
    assert "kept none" not in said and "kept some" not in said
    shot(page, "beside-linked")
    pick_by_search(page, first_label(page))
    until(page, "location.hash.includes('at=item')")
    page.go_back()
    page.wait_for_selector("text=Moved most", timeout=10_000)
    assert "at=" not in page.evaluate("location.hash") and "beside=" in page.evaluate("location.hash")


def test_items_of_one_name_are_told_apart_by_their_ids(open_page):
    def named(given):
        labels = ["same"] * 20 + [" ", "m10", *given["labels"][22:]]
        return given | {"labels": labels}

    page = opened(open_page, with_labels(named))
    ids = page.evaluate(LABELS)["ids"]
    searched(page, "same")
    page.wait_for_selector(".found:has-text('20 items have this name')")
    page.wait_for_timeout(300)
    assert page.locator("#panel:visible").count() == 0
    shot(page, "same-name")
    page.keyboard.press("Tab")
    page.wait_for_selector(".found", state="hidden")
    page.keyboard.press("Shift+Tab"), page.keyboard.press("Enter")
    page.wait_for_selector(".found:has-text('20 items have this name')")
    page.keyboard.press("ArrowDown"), page.keyboard.press("Enter")
    page.wait_for_selector("#panel .asking")
    until(page, "location.hash.includes('at=item')")
    for row in (10, 20, 1):  # m10 is the label of another, the next is blank, many ids begin as the last
        searched(page, ids[row])
        until(page, "id => new URLSearchParams(location.hash.slice(1)).get('at') === 'item:' + id", ids[row])


def test_what_is_typed_while_a_space_loads_waits_for_its_items(open_page):
    page, held = opened(open_page), []
    page.route("**/narrow/labels*", lambda route: held.append(route))
    page.select_option("select[name=space]", "1")
    searched(page, "m7")
    page.wait_for_timeout(500)
    assert page.get_by_role("combobox", name="Search items").input_value() == "m7"
    assert page.locator("#panel:visible").count() == 0
    for route in held:
        route.continue_()
    page.wait_for_selector("#panel .asking")
    assert "space=narrow" in page.evaluate("location.hash") and "m7" in page.evaluate("location.hash")


@pytest.mark.parametrize("which", ["movies/texts", "narrow/*"])
def test_a_link_into_a_space_that_changed_says_that(open_page, which):
    page = opened(open_page)
    page.route(
        f"**/{which}*", lambda route: route.fulfill(status=412, json={"error": {"message": "changed"}})
    )
    space, item = which.split("/")[0], "nobody" if "texts" in which else "m3"
    page.evaluate("hash => { location.hash = hash; }", f"#model=movies&space={space}&at=item:{item}")
    page.wait_for_selector(".note:has-text('The space has changed since this page was opened')")
    page.wait_for_timeout(500)
    assert "has no item" not in page.inner_text(".note")


def test_a_place_on_an_item_is_the_item(open_page):
    page = opened(open_page)
    x, y = page.evaluate(
        "fetch('/v1/spaces/movies/map/coordinates').then(r => r.arrayBuffer())"
        ".then(all => [...new Float32Array(all).slice(6, 8)])"
    )
    page.evaluate("hash => { location.hash = hash; }", f"#at=place:{x!r},{y!r}")
    page.wait_for_selector("#panel .asking")
    said = page.inner_text("#panel")
    assert f"It lies on {first_label(page)}." in said and "No item lies here" not in said
    assert page.inner_text("#panel h2") == "A place on an item"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_no_vector_is_read_for_is_marked_in_its_clause(open_page, scheme):
    text = "A man of the Square meets two squares."
    clause = {"terms": [], "unread": ["Square", "two"], "signs": None}
    clauses = [clause | {"text": f"{text} ", "probability": one} for one in (0.9, 0.6, 0.4, 0.1, None)]
    evidence = {"reasons": [], "clauses": clauses, "points": [], "direct": None, "notes": []}
    parts = [{"content": text}, {"evidence": evidence}]
    events = [f"data: {json.dumps({'choices': [{'delta': one}]})}\n\n" for one in parts]
    page = opened(open_page, color_scheme=scheme, bypass_csp=True)
    page.route(
        "**/v1/chat/completions",
        lambda route: route.fulfill(
            body="".join(events) + "data: [DONE]\n\n", content_type="text/event-stream"
        ),
    )
    pick_by_search(page, first_label(page))
    page.get_by_role("button", name="Describe it.").click()
    page.wait_for_selector(".turn:not(.waiting) .clause")
    for number in range(5):
        one = page.locator(".clause").nth(number)
        assert one.inner_text() == text and one.locator(".unread").all_inner_texts() == ["Square", "two"]
        one.focus()
        said = page.inner_text(".clause:focus + .reasons")
        assert "Not read from the vector, may be invented: Square, two." in said
        shot(page, f"unread-{scheme}-{number}")
    assert "Waved: a name, number" in page.inner_text(".looks")
    if AXE.exists():
        assert serious_faults(page) == []


WIDGET = Path(map_widget.__file__).parent / "static" / "widget.js"
MODEL = """
import widget from "/widget.js";
const text = (value) => new DataView(new TextEncoder().encode(JSON.stringify(value)).buffer);
const values = {
  _title: "space", _height: 400, _names: [], _sources: {}, _color: {}, _info: {},
  _coordinates: new DataView(Float32Array.of(0, 0, 1, 0, 0, 1, 1, 1).buffer),
  _labels: text(["same", "same", " ", "Up"]), _ids: text({0: "a", 1: "b", 2: "c"}),
  _shades: new DataView(new ArrayBuffer(0)), _rows: new DataView(new ArrayBuffer(0)),
};
window.values = values;
const model = {
  get: (name) => values[name], set: (name, value) => { values[name] = value; },
  save_changes() {}, send() {}, on() {}, off() {},
};
widget.render({ model, el: document.body });
"""
"""A notebook without Python: what the widget says stands in `values`."""


@pytest.fixture
def widget_page(browser):
    files = {
        "/": ("text/html", "<!doctype html><script type=module src=/model.js></script>"),
        "/model.js": ("text/javascript", MODEL),
        "/widget.js": ("text/javascript", WIDGET.read_text(encoding="utf-8")),
    }

    def answer(route):
        kind, body = files[urlsplit(route.request.url).path]
        route.fulfill(body=body, content_type=kind)

    context = browser.new_context()
    page = context.new_page()
    page.route("http://127.0.0.1:9/**", answer)
    page.goto("http://127.0.0.1:9/")
    page.wait_for_selector(".vecspeak canvas")
    yield page
    context.close()


def test_the_widget_tells_items_of_one_name_and_of_none_apart(widget_page):
    page = widget_page
    search = page.locator(".vecspeak input[name=search]")
    search.fill("same")
    search.press("Enter")
    page.wait_for_selector(".vecspeak .found:has-text('2 items have this name')")
    assert page.locator(".vecspeak .found [role=option]").all_inner_texts() == ["same (a)", "same (b)"]
    for typed, row, title in (("b", 1, "same (b)"), ("c", 2, "c"), ("Up", 3, "Up")):
        search.fill(typed)
        search.press("Enter")
        assert page.evaluate("values._place.row") == row
        assert page.inner_text(".vecspeak .side h2") == title
