import { expect, test } from "vitest";
import { dataOf } from "../src/api";
import { paletteOf, LIGHT, packed } from "../src/color";
import { asJson, asMarkdown } from "../src/conversation";
import { markdownLine, shortened, shown } from "../src/foreign";
import { hashOf, readHash } from "../src/state";
import { asIt, distanceInWords, proofInWords, quoted, reasonsOf, sampled, withSlot } from "../src/words";

test("events are whole however the stream is cut", () => {
  const stream = 'data: {"a": 1}\n\ndata: {"b": 2}\n\ndata: [DONE]\n\n';
  for (let size = 1; size < 20; size++) {
    const split = dataOf();
    const found: string[] = [];
    for (let at = 0; at < stream.length; at += size) found.push(...split(stream.slice(at, at + size)));
    expect(found).toEqual(['{"a": 1}', '{"b": 2}', "[DONE]"]);
  }
});

test("an address holds what is looked at, whatever letters are in it", () => {
  const shown = { model: "a/b", space: "films & co", view: "1,2,3", at: 'expr:mid("A", "B#", 0.3)', questions: ["Who? {x}", "ä=ö&q=1"], color: "word:war", beside: "" };
  expect(readHash(hashOf(shown))).toEqual(shown);
});

test("a distance is said in words", () => {
  expect(distanceInWords(99.5, false)).toMatchObject({ isDoubted: true });
  expect(distanceInWords(60, false).text).toContain("Inside the data");
  expect(distanceInWords(99.9, true).isDoubted).toBe(false);
});

test("a clause says its four reasons, and which are not to be had", () => {
  const signs = { lift: 0.7, probability: 0.4, log_lift: 1, least: 0.1, agreement: null, loss: 0.02 };
  const lines = reasonsOf({ text: "a boy,", probability: 0.6, terms: ["boy"], signs });
  expect(lines).toHaveLength(4);
  expect(lines[0]).toContain("2.0 times likelier");
  expect(lines[2]).toContain("no agreement to count");
});

test("letters that steer or hide are spelled out, all others stay", () => {
  expect(shown("a\x1b[2J\u202eb\nc")).toBe("a\\x1b[2J\\u202eb\nc");
  expect(shown("\u2066x\u2069\u200by\ufeff\u{e0041}")).toBe("\\u2066x\\u2069\\u200by\\ufeff\\U000e0041");
  const flag = "\u{1f3f4}\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f}";
  for (const text of ["שלום 👩‍👧", "مرحبا", "می‌خواهم", "❤️", flag, "x\ty"]) expect(shown(text)).toBe(text);
  expect(shown("a\u200d\u200d\u200db")).toBe("a\\u200d\\u200d\\u200db");
  expect(shown("\ud800")).toBe("\\ud800");
});

test("a text that is cut ends in whole letters", () => {
  expect(shortened("🙂🙂🙂🙂", 3)).toBe("🙂🙂…");
  expect(shortened("🙂🙂🙂", 3)).toBe("🙂🙂🙂");
  expect(shortened("👩‍👧‍👦👩‍👧‍👦👩‍👧‍👦", 2)).toBe("👩‍👧‍👦…");
});

test("a label in Markdown makes no link, image, heading or markup", () => {
  expect(markdownLine("![x](http://a/b)")).toBe("!\\[x\\](http://a/b)");
  expect(markdownLine("<img src=x>\n# y")).toBe("\\<img src=x\\> \\# y");
  expect(markdownLine("1. a")).toBe("1\\. a");
  expect(markdownLine("- a")).toBe("\\- a");
});

test("a question is about the point whether it says so or not", () => {
  expect(withSlot("Is it funny?")).toBe("Is {x} funny?");
  expect(withSlot("What is the mood?")).toBe("What is the mood of {x}?");
  expect(withSlot("Describe")).toBe("Describe {x}.");
  expect(withSlot("Who is {x}?")).toBe("Who is {x}?");
  expect(withSlot("What are its limits?")).toBe("What are {x}'s limits?");
});

test("a question is read without its slot", () => {
  expect(asIt("Describe {x}.")).toBe("Describe it.");
  expect(asIt("Summarize the item {x}.")).toBe("Summarize the item.");
  expect(asIt("What is {x}'s mood?")).toBe("What is its mood?");
});

test("a proof counts the words that both answers have", () => {
  expect(proofInWords("A boy wants a gun.", "Two girls dance.")).toMatchObject({ isDoubted: false, text: expect.stringContaining("0 of the 1 words") });
  expect(proofInWords("Horses graze.", "Horses graze quietly.")).toMatchObject({ isDoubted: true });
  expect(proofInWords("", "")).toMatchObject({ isDoubted: true });
});

test("too many ids are thinned evenly", () => {
  const ids = Array.from({ length: 1000 }, (_, n) => `${n}`);
  expect(sampled(ids)).toBe(ids);
  expect(sampled(ids, 4)).toEqual(["0", "250", "500", "750"]);
  const some = sampled(ids, 1000, 600);
  expect(JSON.stringify(some).length).toBeLessThan(620);
  expect(new Set(some).size).toBe(some.length);
});

test("exported JSON reads as it was and hides nothing", () => {
  const found = { title: "a\u202eb 👩‍👧 שלום", space: "s", expression: "e", turns: [] };
  const text = asJson(found, "l");
  expect(JSON.parse(text)).toEqual({ link: "l", ...found });
  expect(text).not.toContain("\u202e");
  expect(text).toContain("שלום");
});

test("ids are quoted so that none ends its quotes", () => {
  expect(quoted('a"b\\')).toBe('id("a\\"b\\\\")');
});

test("a palette has a colour for each name and none for what has no value", () => {
  const palette = paletteOf(LIGHT, "column", 3);
  expect(new Set(palette.slice(0, 3)).size).toBe(3);
  expect(palette[255]).toBe(packed(LIGHT.faint));
});

test("a conversation as Markdown has its questions, clauses and doubts", () => {
  const text = asMarkdown(
    {
      title: "A film", space: "movies", expression: 'id("1")',
      turns: [{ question: "Describe {x}.", task: "", effort: "quick", about: "", proves: "", text: "A boy.", error: "",
        evidence: { trusted: false, reasons: ["it is far"], points: [], direct: null, notes: [], clauses: [{ text: "A boy.", probability: 0.5, terms: [], signs: null }] } }],
    },
    "http://127.0.0.1/",
  );
  for (const part of ["# A film", "## Describe it.", "- 50% A boy.", "Doubt: it is far"]) expect(text).toContain(part);
});
