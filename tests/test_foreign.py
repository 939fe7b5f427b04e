"""Foreign text is shown, not obeyed: on a terminal, in JSON, in a table for a spreadsheet, in pages and messages."""

import ast
import csv
import json
import re
import unicodedata
from functools import cache
from pathlib import Path

import pytest

from vecspeak.console import print_line, progress_bar, say, say_json, say_text
from vecspeak.display import element, shaded, table
from vecspeak.errors import UserError, one_line
from vecspeak.foreign import json_line, shown, shown_in_page, shown_lines, spreadsheet_safe, write_csv
from vecspeak.report.html import environment

SOURCE = Path(__file__).parents[1] / "src" / "vecspeak"
HOSTILE = "a\x1b]0;title\x07b\x9b31mc\x7f\r\nFAKE: 100% sure\u2028\u202egnp.exe\u2066\u200f\u061c\u200b\U000e0041\ufeff"
OBEYED = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e007f]"
)


def test_what_a_terminal_obeys_is_shown():
    assert shown("\x1b[2J\x9b31m\x7f\x00") == r"\x1b[2J\x9b31m\x7f\x00"
    assert shown("a\r\nb\tc") == r"a\r\nb\tc"
    assert (
        shown("\u202egnp.exe\u2066\u200f\u061c\u2028\u2029") == r"\u202egnp.exe\u2066\u200f\u061c\u2028\u2029"
    )
    assert shown("se\u200bcret\ufeff\u2060 \U000e0041") == r"se\u200bcret\ufeff\u2060 \U000e0041"
    assert shown("half \ud800") == r"half \ud800"
    assert not OBEYED.search(shown(HOSTILE)) and "\n" not in shown(HOSTILE)


@pytest.mark.parametrize(
    "text",
    [
        "שלום עולם, مرحبا",
        "👩\u200d👩\u200d👧 👁\ufe0f\u200d🗨\ufe0f ❤\ufe0f",
        "می\u200cخواهم",
        "क\u094d\u200dष",
        "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
        "葛\U000e0100城市",
        "Zoë, naïve, soft\u00adhyphen, 12\u00a0km, \u3000",
        r"C:\new\x1b.txt",
    ],
)
def test_ordinary_letters_of_all_scripts_stay(text):
    assert shown(text) == text == shown_in_page(text)


def test_runs_of_joiners_and_selectors_hide_a_text_and_are_shown():
    assert shown("a\u200d\u200c\u200d") == r"a\u200d\u200c\u200d"
    assert shown("😀\U000e0110\U000e0122") == r"😀\U000e0110\U000e0122"
    assert shown("🏴\U000e0041\U000e0042\U000e007f") == r"🏴\U000e0041\U000e0042\U000e007f"


def test_every_control_and_format_letter_of_unicode_is_shown_or_known_to_be_ordinary():
    ordinary = {0xAD, 0x200C, 0x200D, *range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x180E}
    for code in range(0x110000):
        letter = chr(code)
        if (
            unicodedata.category(letter) in ("Cc", "Cf", "Zl", "Zp", "Cs")
            and code < 0x11000
            or 0xE0000 <= code < 0xE0100
        ):
            assert (shown(letter) == letter) == (code in ordinary), hex(code)


def test_showing_twice_is_showing_once():
    assert shown(shown(HOSTILE)) == shown(HOSTILE)


def test_lines_of_a_text_cannot_pass_for_lines_of_ours():
    assert shown_lines("one\r\ntwo\nthree\u2028four\x0bfive\x85six").split("\n  | ") == [
        "one", "two", "three", "four", "five", "six"
    ]  # fmt: skip
    assert not re.search(r"(?m)^FAKE", shown_lines(HOSTILE))


def test_printing_obeys_nothing(capsys):
    say(HOSTILE, "second")
    say_text(HOSTILE)
    say_text(HOSTILE, faint=True)
    say_json({HOSTILE: HOSTILE})
    said = capsys.readouterr().out
    assert not OBEYED.search(said) and not re.search(r"(?m)^FAKE", said)
    say(HOSTILE, err=True)
    print_line(HOSTILE)
    list(progress_bar([1], desc=HOSTILE, unit="step"))
    errors = capsys.readouterr().err
    assert not OBEYED.search(errors.replace("\r", "")) and not re.search(r"(?m)^FAKE", errors)


def test_json_says_the_same():
    value = {HOSTILE: [HOSTILE, "שלום 👩\u200d👧", 1.5, None, "\U000e0041\u2028\x7f\x85"]}
    line = json_line(value)
    assert json.loads(line) == value and "שלום 👩\u200d👧" in line
    assert not OBEYED.search(line) and "\n" not in line


@pytest.mark.parametrize(
    "cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1+1", "-1.5 degrees"]
)
def test_no_text_is_a_formula(cell):
    assert spreadsheet_safe(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", [-1.5, 0, True, None, "", "a=1", " =1", "1-1"])
def test_numbers_and_other_texts_stay(cell):
    assert spreadsheet_safe(cell) == cell


def test_rows_are_written_so_that_a_spreadsheet_runs_none(tmp_path):
    assert write_csv(tmp_path / "t.csv", [("name", "=head"), ("=1+1\nx", -1.5), ("plain", "-2")]) == 2
    with (tmp_path / "t.csv").open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [["name", "'=head"], ["'=1+1\nx", "-1.5"], ["plain", "'-2"]]


def test_pages_escape_and_show():
    template = environment().from_string("<p title='{{ text }}'>{{ text }}</p>{{ number }}")
    page = template.render(text=f"<script>'{HOSTILE}", number=3)
    assert "<script" not in page and "'<" not in page and page.endswith("</p>3")
    assert not OBEYED.search(page.replace("\r", "")) and r"\u202egnp.exe" in page
    for made in (table(["head"], [[HOSTILE]]), element("p", HOSTILE), shaded(HOSTILE, 0.5)):
        assert not OBEYED.search(made.replace("\r", ""))


# --- messages ---


def test_a_message_is_one_short_line():
    error = UserError(f"no item {HOSTILE!r} {HOSTILE}", f"did you mean {HOSTILE}?")
    assert not OBEYED.search(str(error)) and len(str(error).splitlines()) == 1
    for value in ("x" * 100_000, "x y " * 30_000, "'\"" * 50_000, "\x1b" * 50_000):
        for message in (
            f"no item {value!r}; give another",
            f"no item {value}",
            f'"{value}" is no item',
            value,
        ):
            error = UserError(message, f"take {value}")
            assert len(str(error)) <= 500 and len(str(error).splitlines()) == 1


def test_a_refused_value_is_cut_and_what_is_around_it_stays():
    error = UserError(f"the expression '{'abc ' * 90}' is not closed at 7", "close it")
    assert str(error) == f"the expression '{('abc ' * 90)[:97].rstrip()}...' is not closed at 7; close it"
    plain = "the bundle's reader isn't one of the items' readers, and what it says of the spaces' names isn't theirs"
    assert one_line(plain) == plain
    assert one_line(f"'{'a' * 90}' is no name") == f"'{'a' * 90}' is no name"


# --- one room each ---


@cache
def calls():
    """Module, dotted name and arguments of every call of the package."""
    found = []
    for path in sorted(SOURCE.rglob("*.py")):
        module = path.relative_to(SOURCE).as_posix()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                found.append((module, ast.unparse(node.func), node))
    return found


def modules_that_call(*names):
    return {module for module, name, _ in calls() if name in names}


def test_only_the_console_prints():
    assert modules_that_call("print", "click.echo", "click.secho", "echo", "secho", "rich.print") == {
        "console.py"
    }
    writes = {
        m
        for m, name, _ in calls()
        if re.fullmatch(r"(sys\.)?(std(out|err)|__std(out|err)__)\.write(lines)?", name)
    }
    assert writes == set()
    assert {m for m, name, _ in calls() if name.endswith("tqdm.write")} == {"console.py"}
    assert modules_that_call("click.style") == {"console.py"}
    # what rich draws goes into a text first
    for _, name, call in calls():
        assert name != "Console" or any(one.arg == "file" for one in call.keywords)


def test_a_table_that_is_printed_obeys_nothing(tmp_path):
    write_csv(tmp_path / "a.csv", [["a"], ["x\x1b[2J\u202e\r\ny"]])
    assert (tmp_path / "a.csv").read_bytes() == b'a\r\n"x\\x1b[2J\\u202e\r\ny"\r\n'


def test_only_one_room_writes_csv():
    assert modules_that_call("csv.writer", "csv.DictWriter", "pa_csv.write_csv") == {"foreign.py"}
    assert not {m for m, name, _ in calls() if name.endswith(".to_csv")}


def test_only_one_room_makes_pages():
    """Templates are filled where escaping is on, and Markup is made of the code's own words alone."""
    assert modules_that_call("Environment", "jinja2.Environment") == {"report/html.py"}
    assert modules_that_call("Template", "jinja2.Template") == set()
    foreign = {
        module
        for module, name, call in calls()
        if name in ("Markup", "markupsafe.Markup")
        and not (isinstance(call.args[0], ast.Constant) and isinstance(call.args[0].value, str))
    }
    assert foreign == {"report/figures.py"}  # which ElementTree has escaped
    templates = [path.read_text(encoding="utf-8") for path in SOURCE.rglob("*.jinja")]
    assert not [one for one in templates if re.search(r"\|\s*safe\b|autoescape false", one)]
    assert "innerHTML" not in (SOURCE / "raters" / "page.html").read_text(encoding="utf-8")
    html = {m for m, name, call in calls() if name.endswith("write_text") and "page" in ast.unparse(call)}
    assert html == {"report/html.py"}
