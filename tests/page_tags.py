"""What a page holds, as a browser would see it: tags that close, words, and what would be asked for."""

from html.parser import HTMLParser

EMPTY_TAGS = {"meta", "br", "img", "link"}


class Tags(HTMLParser):
    """The page's tags, its words, and every attribute by which a browser would ask for something."""

    def __init__(self, page):
        super().__init__()
        self.open, self.asks, self.ids, self.words = [], [], [], []
        self.names = set()
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.names.add(tag)
        self.asks += [values[name] for name in ("src", "href", "xlink:href", "action") if name in values]
        self.ids += [values["id"]] if "id" in values else []
        if tag not in EMPTY_TAGS:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if self.open and self.open[-1] == tag:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data):
        if not self.open or self.open[-1] != "style":
            self.words.append(data)
