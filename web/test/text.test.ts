import { expect, test } from "vitest";
import { dataOf } from "../src/api";
import { paletteOf, LIGHT, packed } from "../src/color";
import { asMarkdown } from "../src/conversation";
import { hashOf, readHash } from "../src/state";
import { distanceInWords, quoted, reasonsOf } from "../src/words";

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
      turns: [{ question: "Describe {x}.", task: "", effort: "quick", about: "", text: "A boy.", error: "",
        evidence: { trusted: false, reasons: ["it is far"], points: [], direct: null, notes: [], clauses: [{ text: "A boy.", probability: 0.5, terms: [], signs: null }] } }],
    },
    "http://127.0.0.1/",
  );
  for (const part of ["# A film", "## Describe {x}.", "- 50% A boy.", "Doubt: it is far"]) expect(text).toContain(part);
});
