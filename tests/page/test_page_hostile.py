"""Labels, texts, columns and answers that mean harm: the page shows them as letters, and its lines hold."""

import json
from pathlib import Path

import pytest

from page_driver import asked, explored, pick_by_search, shot, spots, until
from vecspeak import Space, VecSpeak
from vecspeak.foreign import shown

pytestmark = pytest.mark.browser
OUTSIDE = "http://127.0.0.1:9/"
HOSTILE = (
    f"<img src=x onerror=\"window.hurt=1;fetch('{OUTSIDE}')\">",
    f"<script>window.hurt=1;fetch('{OUTSIDE}')</script>",
    f"<svg onload=window.hurt=1><style>@import '{OUTSIDE}';*{{display:none}}</style>",
    "javascript:window.hurt=1",
    "[press](javascript:window.hurt=1) ![seen](http://127.0.0.1:9/)",
    "</h2></aside><iframe srcdoc='<script>parent.hurt=1</script>'>",
    "\u202egnp.exe\u2066 nearest \u2069\u202c",
    "\u2067\u2067\u2067 100% \u200b\u200b sure\u2069\u2069",
    "a\x1b[31mb\x00c\u2028d\ufeff\U000e0041\U000e0042",
    "שלום עולם: 12% מצחיק",
    "مرحبا بالعالم (١٢٣)",
    "👩‍👧‍👦 🏴󠁧󠁢󠁳󠁣󠁴󠁿 ❤️ 🙂" * 3,
    "x" * 5000,
    "long words of a very long name " * 160,
    "{{7*7}} ${7*7} <%= 7*7 %> {x} {y}",
    '"]}); alert(1); //',
    "%s%n%d\\u0041&lt;b&gt;",
    "   ",
    "Z̷̛̤a̶͔͝l̴̥͘g̸̱͗o̴̘͝" * 40,
    "constructor __proto__ toString",
)


@pytest.fixture(scope="module")
def hostile_address(tmp_path_factory, request):
    """Of 160 items whose labels, texts, values and columns are these, each several times."""
    given = request.getfixturevalue("some_movies")(160)
    labels = [f"{HOSTILE[row % len(HOSTILE)]} {row}" for row in range(160)]
    texts = [f"{text} {HOSTILE[(row + 1) % len(HOSTILE)]}" for row, text in enumerate(given["texts"])]
    values = [[*kinds, HOSTILE[row % 4]] for row, kinds in enumerate(given["metadata"]["genres"])]
    columns = {"genres": values, HOSTILE[0]: [HOSTILE[row % 3 + 1] for row in range(160)]}
    vs = VecSpeak.from_pretrained()
    given = given | {"labels": labels, "texts": texts, "metadata": columns}
    vs.fit(Space.from_arrays(name="movies", **given))
    vs.atlas(n_regions=6, reader=False, space="movies")
    vs.concept("odd", where='genres = "javascript:window.hurt=1"', space="movies", force=True)
    vs.map("movies")
    folder = tmp_path_factory.mktemp("hostile") / "hostile.bundle"
    vs.save(folder)
    with explored(folder) as found:
        yield found


def is_unhurt(page, width):
    """Nothing ran, nothing was made of markup, nothing sticks out."""
    assert page.evaluate("window.hurt") is None
    assert page.locator("iframe, #app img, #app svg, #app script, #app style, #app a").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for name in (".top", "#panel:not([hidden])", "#panel .page", ".legend:not([hidden])"):
        for one in page.query_selector_all(name):
            box = one.bounding_box()
            assert box is None or (box["x"] >= 0 and box["x"] + box["width"] <= width + 1), name
            assert one.evaluate("one => one.scrollWidth - one.clientWidth") <= 1, name


@pytest.mark.parametrize("width", [400, 1300])
def test_labels_of_every_kind_are_letters_on_the_page(open_page, hostile_address, width):
    page = open_page(at=hostile_address, viewport={"width": width, "height": 800}, reduced_motion="reduce")
    page.wait_for_selector(".name:visible")
    shot(page, f"hostile-{width}")
    labels = page.evaluate("fetch('/v1/spaces/movies/labels').then(r => r.json())")
    for row in range(len(HOSTILE)):
        page.evaluate("id => { location.hash = '#at=item:' + id; }", labels["ids"][row])
        until(
            page,
            "id => location.hash.includes('item%3A' + id + '&') && document.querySelector('#panel .asking')",
            labels["ids"][row],
        )
        seen = page.evaluate("document.querySelector('#panel h2').textContent")
        assert seen == shown(labels["labels"][row], "\n\r\t")
        page.get_by_text("Its own text").click()
        shot(page, f"hostile-{width}-{row}")
        is_unhurt(page, width)


@pytest.mark.parametrize("width", [400, 1300])
def test_every_gesture_bears_them(open_page, hostile_address, width):
    page = open_page(at=hostile_address, viewport={"width": width, "height": 800}, reduced_motion="reduce")
    page.wait_for_selector(".name:visible")
    page.keyboard.press("/")
    page.keyboard.type("long words")
    page.wait_for_selector(".found li")
    assert all(one.bounding_box()["height"] < 80 for one in page.query_selector_all(".found li"))
    is_unhurt(page, width)
    page.keyboard.press("Enter")
    page.wait_for_selector("#panel .asking")
    assert page.locator("#panel h2").bounding_box()["height"] < 120
    page.locator("input[name=amount]").focus()
    page.keyboard.press("ArrowRight")
    until(page, "document.querySelector('output').innerText === '+2'")
    is_unhurt(page, width)
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    for option in page.locator("select[name=color] option").all():
        value = option.get_attribute("value")
        if value.startswith(("column", "concept")):
            page.select_option("select[name=color]", value)
            page.wait_for_selector(".legend:visible")
            is_unhurt(page, width)
    page.keyboard.press("l")
    page.keyboard.press("m")
    for _ in range(2):
        page.keyboard.press("]")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=Words of its middle", timeout=90_000)
    shot(page, f"hostile-{width}-lasso")
    is_unhurt(page, width)


def test_names_from_right_to_left_turn_nothing_around_them(open_page, hostile_address):
    page = open_page(at=hostile_address, reduced_motion="reduce")
    page.wait_for_selector(".name:visible")
    hebrew = [(label, (x, y)) for label, x, y in spots(page) if label.startswith(HOSTILE[9][:4])]
    page.keyboard.press("y")
    for _, at in (hebrew[0], hebrew[1]):
        page.mouse.click(*at)
    page.wait_for_selector(".shares li", timeout=60_000)
    first, second = (one.bounding_box() for one in page.query_selector_all("#panel h2 bdi"))
    assert first["x"] + first["width"] <= second["x"] or first["y"] < second["y"]
    shot(page, "hostile-two-names")


def test_an_answer_with_markup_is_letters_too(open_page, hostile_address):
    text = f"{HOSTILE[0]} {HOSTILE[1]} \u202eback"
    word = {"term": HOSTILE[0], "probability": 0.5, "rate": 0.1, "column": HOSTILE[1], "lift": 5.0}
    near = {"id": "1", "label": HOSTILE[2], "similarity": 0.5}
    point = {"slot": "x", "expression": HOSTILE[0], "label": HOSTILE[1], "nearest": [near], "words": [word]}
    point |= {"percentile": 10.0, "round_trip": 0.5, "swapped": 0.1, "is_item": True, "held_out": False}
    clauses = [
        {"text": text, "probability": 0.6, "terms": [HOSTILE[0]], "unread": [HOSTILE[1]], "signs": None}
    ]
    evidence = {"reasons": [HOSTILE[0]], "clauses": clauses, "points": [point], "direct": None, "notes": []}
    parts = [{"content": text}, {"evidence": evidence}]
    body = (
        "".join(f"data: {json.dumps({'choices': [{'delta': one}]})}\n\n" for one in parts)
        + "data: [DONE]\n\n"
    )
    page = open_page(at=hostile_address)
    page.wait_for_selector(".name:visible")
    page.route(
        "**/v1/chat/completions", lambda route: route.fulfill(body=body, content_type="text/event-stream")
    )
    pick_by_search(page, "long words")
    asked(page)
    page.click(".turn .evidence summary")
    page.locator(".clause").focus()
    assert page.inner_text(".answer .clause") == shown(text)
    is_unhurt(page, 1300)
    shot(page, "hostile-answer")
    with page.expect_download() as got:
        page.get_by_role("button", name="Export Markdown").click()
    exported = Path(got.value.path()).read_text()
    assert "\\<img src=x" in exported and "\u202e" not in exported
    assert not any(
        line.lstrip().startswith("<") and not line.startswith("<http://127.0.0.1")
        for line in exported.splitlines()
    )


def test_the_policy_is_strict_on_every_file(hostile_address):
    import httpx

    for path in ("", "page/page.js", "page/page.css"):
        policy = httpx.get(hostile_address + path).headers["content-security-policy"]
        rules = dict(one.strip().split(" ", 1) for one in policy.split(";"))
        assert rules["default-src"] == "'none'" and rules["script-src"] == "'self'"
        assert rules["connect-src"] == "'self'" and rules["frame-ancestors"] == "'none'"
        assert "unsafe" not in policy and "*" not in policy
