"""Replies of language models, cleaned: what stands around the answer goes, and so do control characters.

Every rule is plain enough to be worked out by hand; none needs a model.
"""

import re

from vecspeak.tasks.task_set import split_sentences

_TITLES = (
    "summary review description title pitch answer response positive negative balanced neutral version funnier sadder "
    "scarier similarities differences profile critique criticism reason output"
)
_KIND = "|".join(_TITLES.split())
_TITLE = re.compile(rf"^\s*(?:(?:{_KIND}|short|long|a|the|movie)\s*){{1,4}}:\s+", re.IGNORECASE)
_POLITE = r"(?:sure|certainly|of course|absolutely|okay|ok|alright)(?: thing)?"
_OFFER = r"(?:here(?:['’]s| is| are)|below (?:is|are)|the following (?:is|are)|i['’]d be happy to)\b"
_LEAD_IN = re.compile(
    rf"^\s*(?:(?:{_POLITE}[!,.:]\s*)?{_OFFER}"
    rf"(?:[^\n.!?:]*\b(?:{_KIND}|reasons|ways|sentences|characteristics)\b[^\n.!?:]*:\s*|[^\n.!?:]*:\s*\n)"
    rf"|{_POLITE}[!.]\s+)",
    re.IGNORECASE,
)
_BLANK = re.compile(r"\n\s*\n")
"""Collapsed first: models write thousands, and a pattern for the start of a line scans all that follow."""
_HEADING = re.compile(r"^\s*(?:#{1,6}\s+.*|\*\*[^*\n]{1,60}\*\*:?)\s*$", re.MULTILINE)
_ENTRY = re.compile(r"^\s*(?:\(?\d{1,2}[.):]|[-*•–])\s+(.*)$")
_INLINE = re.compile(r"(?:(?<=\s)|^)\d{1,2}[.)]\s+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffd]")
_QUOTES = (('"', '"'), ("“", "”"), ("«", "»"), ("'", "'"))
_ENDS = (".", "!", "?", "…", '."', '!"', '?"', ".”", "!”", "?”", ".'", ".)", "!)", "?)")


def prose_of(reply: str) -> str:
    """Clean prose: one line, from the first word of the answer to the end of its last whole sentence."""
    text = _plain(_HEADING.sub("", _BLANK.sub("\n\n", reply)).strip())
    text = _without_lead_in(text)
    text = _unquoted(" ".join(_CONTROL.sub(" ", text).split()))
    sentences = split_sentences(text)
    if not text.endswith(_ENDS) and len(sentences) > 1:  # the last one was cut
        text, sentences = " ".join(sentences[:-1]), sentences[:-1]
    # Small models end in circles: cut before the first sentence that was there already.
    seen = set[str]()
    for number, sentence in enumerate(sentences):
        if sentence.casefold() in seen:
            return " ".join(sentences[:number])
        seen.add(sentence.casefold())
    return text


def entries_of(reply: str, *, cut: bool = False) -> list[str]:
    """Return a list's entries, each on one line without its number; without the last one where the reply was cut."""
    reply = _BLANK.sub("\n\n", reply)
    lines = [line for line in reply.strip().splitlines() if line.strip()]
    entries = _marked(lines)
    if len(entries) < 2:
        pieces = _INLINE.split(reply)
        if len(pieces) > 2:
            entries = pieces[1:]
        elif len(lines) > 1:
            entries = [line for line in lines if not line.rstrip().endswith(":")]
    cleaned = [" ".join(_CONTROL.sub(" ", _plain(entry)).split()).strip(" ;,") for entry in entries]
    found = [entry for entry in cleaned if entry]
    return found[:-1] if cut and found and not found[-1].endswith(_ENDS) else found


def _marked(lines: list[str]) -> list[str]:
    """Return the texts after numbers or bullets; an indented line continues the entry before it."""
    entries: list[str] = []
    for line in lines:
        if match := _ENTRY.match(line):
            entries.append(match[1])
        elif entries and line[:1].isspace():
            entries[-1] += f" {line.strip()}"
        elif entries:
            break
    return entries


def _plain(text: str) -> str:
    """Remove Markdown for bold and italic type, code, headings and quotes."""
    text = re.sub(r"(\*\*|__|`)", "", text)
    text = re.sub(r"(?<!\w)\*(\S[^*\n]*\S)\*(?!\w)", r"\1", text)
    return re.sub(r"^\s*(?:#{1,6}|>)\s+", "", text, flags=re.MULTILINE)


def _without_lead_in(text: str) -> str:
    for _ in range(3):
        shorter = _TITLE.sub("", _LEAD_IN.sub("", text, count=1), count=1)
        if shorter == text:
            return text
        text = shorter
    return text


def _unquoted(text: str) -> str:
    for opening, closing in _QUOTES:
        inside = text[1:-1]
        if len(text) > 2 and text[0] == opening and text[-1] == closing and opening not in inside:
            return inside.strip()
    return text
