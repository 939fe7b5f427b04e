import { expect, test } from "vitest";
import { dataOf } from "../src/api";
import { paletteOf, LIGHT, packed } from "../src/color";
import { asJson, asMarkdown } from "../src/conversation";
import { markdownLine, shortened, shown } from "../src/foreign";
import { fixed } from "../src/dom";
import { firstColor, numeral } from "../src/legend";
import { distinct, isSame, itemPoint, nameOf, pulledPoint, tiedRows } from "../src/point";
import { movedInWords } from "../src/pages";
import { foundRows, nearestLabels } from "../src/search";
import { hashOf, pullOf, readHash, spaceNamed } from "../src/state";
import { asIt, distanceInWords, distanceOf, faultOfKey, fittingTasks, isLittleKnown, piecesOf, proofInWords, quickQuestions, quoted, reasonsOf, sampled, signed, sizeInWords, termName, unreadInWords, withSlot } from "../src/words";

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
  const shown = { model: "a/b", space: "films & co", view: "1,2,3", at: 'expr:mid("A", "B#", 0.3)', questions: [
    { question: "Who? {x}", task: "", effort: "quick" }, { question: "ä=ö&q=1", task: "", effort: "normal" }, { question: "Sum it up.", task: "summary", effort: "quick" },
  ], color: "word:war", beside: "" };
  expect(readHash(hashOf(shown))).toEqual(shown);
});

test("a distance is said in words", () => {
  expect(distanceInWords(99.5, false)).toMatchObject({ isDoubted: true });
  expect(distanceInWords(60, false).text).toContain("Inside the data");
  expect(distanceInWords(99.9, true).isDoubted).toBe(false);
});

test("a place that nothing is near is not inside the data", () => {
  const place = { kind: "made", percentile: 40.5, made_of: [], notes: ["nothing is near this place"] } as never;
  expect(distanceOf(place).text).toBe("Its vector is farther from the data than 40% of the items.");
  expect(distanceOf({ ...(place as object), notes: [] } as never).text).toContain("Inside the data");
  expect(distanceOf({ ...(place as object), percentile: 99.5 } as never).isDoubted).toBe(true);
});

test("a clause says its four reasons, and which are not to be had", () => {
  const signs = { lift: 0.7, probability: 0.4, log_lift: 1, least: 0.1, agreement: null, loss: 0.02 };
  const lines = reasonsOf({ text: "a boy,", probability: 0.6, terms: ["boy"], unread: [], signs });
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

test("a question is sent as it was typed, and it is the point", () => {
  expect(withSlot("Is it funny?")).toBe("Is {x} funny?");
  for (const typed of ["What is 2+2?", "why", "Describe", "Who is {x}?", "Audit the unit."]) expect(withSlot(typed)).toBe(typed);
  expect(withSlot("What are its limits?")).toBe("What are {x}'s limits?");
});

test("a link asks each question once", () => {
  const one = { question: "Who?", task: "", effort: "quick" };
  const hash = hashOf({ model: "", space: "", view: "", at: "item:1", color: "", beside: "", questions: [one, one, { ...one, effort: "normal" }] });
  expect(readHash(hash).questions).toEqual([one, { ...one, effort: "normal" }]);
});

test("a question that stands twice in a link is asked once, and an empty one not at all", () => {
  expect(readHash("#q=Who%3F&q=Who%3F&careful=Who%3F").questions.map((one) => one.effort)).toEqual(["quick", "normal"]);
  expect(readHash("#careful-task=%20&q=&q-task=%20%20&careful=%20").questions).toEqual([]);
});

test("a link to a space that is not there is no link to another", () => {
  const [first, second] = ["a", "b"].map((name) => ({ model: "m", name }) as never);
  expect(spaceNamed("m", "b", [first!, second!], first!)).toBe(second);
  expect(spaceNamed("", "", [first!, second!], second!)).toBe(second);
  expect(spaceNamed("", "c", [first!, second!], first!)).toBeNull();
  expect(spaceNamed("n", "a", [first!, second!], first!)).toBeNull();
});

const MOVIE_TASKS = ["summary", "funnier", "pitch"].map((name) => ({ name, question: `Make ${name} of the movie {x}.`, slots: ["x"], of_person: false }));

test("a space that no tasks were taught of is only described", () => {
  const neutral = { tasks: MOVIE_TASKS, learned: false };
  const learned = { tasks: MOVIE_TASKS, learned: true };
  expect(fittingTasks(neutral, false).map((one) => one.name)).toEqual(["summary"]);
  expect(quickQuestions(neutral, false)).toEqual(["Describe it."]);
  expect(fittingTasks(learned, false)).toHaveLength(3);
  expect(quickQuestions(learned, false)).toContain("What is the mood of it?");
  expect(quickQuestions({ tasks: MOVIE_TASKS.filter((one) => one.name !== "funnier"), learned: true }, false)).toEqual(["Describe it.", "Who would like it?"]);
});

test("a pulled point is named apart from its item", () => {
  const item = itemPoint({ ids: ["m3"], labels: ["Heat"], rowOf: new Map() }, 0, { x: 0, y: 0 });
  const info = { expression: 'id("m3") + 8*comedy', kind: "made", percentile: 1, nearest: [], words: [], map: null, notes: [] };
  const pulled = pulledPoint(item, "comedy", 8, info);
  expect([pulled.title, pulled.about, nameOf(pulled)]).toEqual(["Heat + 8 comedy", "pulled +8 along comedy", 'id("m3") + 8*comedy']);
  expect(pulled.link).toBe('expr:id("m3") + 8*comedy');
  expect(isSame(pulled.place, item.place)).toBe(false);
});

test("equal labels have their ids, and a blank one is its id", () => {
  expect(distinct({ ids: ["1", "2", "3", "4"], labels: ["Heat", "Heat", " ", "Alien"] })).toEqual(["Heat (1)", "Heat (2)", "3", "Alien"]);
});

test("a year has no separators and nothing is minus zero", () => {
  expect([numeral(1950), numeral(123456), numeral(-0.00001)]).toEqual(["1950", "123,456", "0"]);
  expect([fixed(-0.001, 2), fixed(-0.5, 1), signed(0), signed(-4)]).toEqual(["0.00", "-0.5", "0", "−4"]);
});

test("a question is read without its slot", () => {
  expect(asIt("Describe {x}.")).toBe("Describe it.");
  expect(asIt("Summarize the item {x}.")).toBe("Summarize the item.");
  expect(asIt("What is {x}'s mood?")).toBe("What is its mood?");
});

test("a proof leads with how well each answer fits its own vector", () => {
  const [first, second] = [{ text: "A boy wants a gun.", fit: 0.5, others: 0.1 }, { text: "Two girls dance.", fit: 0.4, others: 0.1 }];
  const found = proofInWords(first, second);
  expect(found.isDoubted).toBe(false);
  expect(found.text).toContain("the answer above 0.50 (other items' vectors 0.10), this one 0.40");
  expect(found.more).toContain("0 of the 1 words");
  expect(proofInWords({ ...first, fit: 0.15 }, second).isDoubted).toBe(true);
  const same = { text: "Horses graze.", fit: 0.5, others: 0.1 };
  expect(proofInWords(same, { ...same, text: "Horses graze quietly." }).isDoubted).toBe(true);
  expect(proofInWords({ ...same, text: "" }, same).isDoubted).toBe(true);
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

const TURN = { question: "Describe {x}.", task: "", effort: "quick", expression: 'id("1")', place: { expression: 'id("1")' }, of: "", about: "", proves: null, text: "A boy.", error: "", evidence: null };

const POINT = { slot: "x", expression: "", label: "", nearest: [], words: [], percentile: 1, round_trip: 0.5, swapped: 0.1, is_item: true, is_user: false, is_outside: false, is_clear: true, held_out: true };

test("a conversation as Markdown has its questions, clauses and doubts", () => {
  const evidence = { trusted: false, reasons: ["it is far"], points: [], direct: null, notes: [], clauses: [{ text: "A boy.", probability: 0.5, terms: [], unread: ["A"], signs: null }] };
  const text = asMarkdown({ title: "A film", space: "movies", expression: 'id("1")', turns: [{ ...TURN, evidence }] }, "http://127.0.0.1/");
  for (const part of ["# A film", "## Describe it.", "- 50% A boy. — Not read from the vector, may be invented: A.", "Doubt: it is far"]) expect(text).toContain(part);
  expect(text).not.toContain("Asked of");
});

test("an export names the point that each turn was asked of, and what is still to come", () => {
  const pulled = { ...TURN, expression: 'id("1") + 8*comedy', of: 'id("1") + 8*comedy' };
  const found = { title: "A film", space: "movies", expression: 'id("1")', turns: [pulled] };
  const text = asMarkdown(found, "l");
  expect(text).toContain('Asked of id("1") + 8\\*comedy');
  expect(text).toContain("still being made");
  expect(JSON.parse(asJson(found, "l")).turns[0]).toMatchObject({ expression: 'id("1") + 8*comedy', pending: true });
});

test("a key of letters that no header can hold is refused where it is typed", () => {
  expect(faultOfKey("sesame-1 é")).toBe("");
  expect(faultOfKey("сезам")).toContain("“с”");
  expect(faultOfKey("")).toContain("Type the key");
});

test("of few ratings it is said what somebody may like, of ten how much", () => {
  const rated = (count: number) => `user({${Array.from({ length: count }, (_, n) => `id("a: ${n}"): ${1 + (n % 5)}`).join(", ")}})`;
  expect([isLittleKnown(rated(9)), isLittleKnown(rated(10)), isLittleKnown('user("7")'), isLittleKnown('id("user({")')]).toEqual([true, false, false, false]);
});

test("a link of a pulled item is read as the item and where the slider stood", () => {
  expect(pullOf('id("m3") + 8*comedy', ["comedy"])).toEqual({ id: "m3", concept: "comedy", amount: 8 });
  expect(pullOf('id("a\\"b") + -2.5*comedy', ["comedy"])).toEqual({ id: 'a"b', concept: "comedy", amount: -2.5 });
  expect(pullOf('id("m3") - 4 * comedy', ["comedy"])?.amount).toBe(-4);
  for (const other of ['id("m3") + 8*horror', 'id("m3")', '0.5*id("m3") + 8*comedy', 'id("m3") + 8*comedy + 2*comedy', 'id("\\x") + 8*comedy']) expect(pullOf(other, ["comedy"])).toBeNull();
});

test("the proof of an answer stands in the Markdown with its verdict", () => {
  const point = { ...POINT, round_trip: 0.4, swapped: 0.1 };
  const evidence = { trusted: true, reasons: [], clauses: [], points: [point], direct: null, notes: [] };
  const proof = { ...TURN, about: "Alien", text: "A ship in space.", evidence, proves: { text: "Two girls dance.", fit: 0.5, others: 0.1 } };
  const text = asMarkdown({ title: "A film", space: "movies", expression: 'id("1")', turns: [proof] }, "l");
  expect(text).toContain("Proof: The vector decided the answer above");
  expect(text).toContain("does not say that each of its clauses is true");
});

test("a typed text finds the labels that are most like it", () => {
  const labels = ["Toy Story", "The Story of Us", "Alien", "Aliens"];
  expect(nearestLabels(labels, "toystory")[0]).toBe(0);
  expect(nearestLabels(labels, "Alein").slice(0, 2).sort()).toEqual([2, 3]);
  expect(nearestLabels(labels, "qqq")).toEqual([]);
});

const itemsOf = (ids: string[], labels: string[]) => ({ ids, labels, rowOf: new Map(ids.map((id, row) => [id, row])) });

test("items of two spaces are tied by id, else by a name that stands once in each", () => {
  const to = itemsOf(["1", "x", "y", "z", "w"], ["Heat", "Alien", "Alien", " ", "Up"]);
  expect([...tiedRows(itemsOf(["1", "a", "b"], ["Up!", "Alien", "Up"]), to)]).toEqual([0, -1, 4]); // two are called Alien there
  expect([...tiedRows(itemsOf(["a", "b", "c"], ["Up", "Up", " "]), to)]).toEqual([-1, -1, -1]); // two are called Up here
  expect([...tiedRows(itemsOf(["1", "a"], ["Up!", "Heat"]), to)]).toEqual([0, -1]); // Heat is tied by its id
});

test("an id that is typed whole is its item, whatever others are called", () => {
  const items = { ids: ["m101", "m10", "m1"], labels: ["m10", "Up", " "], titles: ["m10", "Up", "m1"] };
  expect(foundRows(items, "m10").rows[0]).toBe(1);
  expect(foundRows(items, "m1").rows).toEqual([2, 0]);
  expect(foundRows({ ...items, ids: ["", "", ""] }, "up").rows).toEqual([1]);
});

test("a name is found whole whatever blanks are around it", () => {
  expect(foundRows({ ids: ["a", "b"], labels: [" Up ", "Upper"], titles: [" Up ", "Upper"] }, "up")).toEqual({ rows: [0, 1], equal: 1 });
});

test("of several items of one name it is said how many they are, and a whole name comes before its beginnings", () => {
  const ids = Array.from({ length: 20 }, (_, n) => `s${n}`);
  const labels = ids.map((_, n) => (n === 0 ? "Same old" : "same"));
  const items = { ids, labels, titles: distinct({ ids, labels }) };
  const found = foundRows(items, "Same");
  expect([found.equal, found.rows.length, found.rows.includes(0)]).toEqual([19, 12, false]);
  expect(foundRows(items, "s7")).toMatchObject({ equal: 0 });
  expect(foundRows(items, "s7").rows[0]).toBe(7);
  expect(foundRows(items, "same old").equal).toBe(1);
});

test("what no vector is read for is marked where it stands, and not in other words", () => {
  const marked = (text: string, unread: string[]): string[] => piecesOf(text, unread).flatMap((one) => (one.isUnread ? [one.text] : []));
  expect(marked('two men of network two at "The Square"', ["two", "The Square"])).toEqual(["two", "two", "The Square"]);
  expect(piecesOf("a man", ["Square"])).toEqual([{ text: "a man", isUnread: false }]);
  expect(piecesOf("Émile", ["mile"])).toEqual([{ text: "Émile", isUnread: false }]);
  expect(unreadInWords({ unread: ["Square", "12"] })).toBe("Not read from the vector, may be invented: Square, 12.");
});

test("what is said of moved items is not of neighbours", () => {
  expect(movedInWords(0)).toBe("No item lies farther from where a linear map of the first space puts it than the others' spread explains.");
  expect(movedInWords(1)).toContain("1 item lies farther from where a linear map of the first space puts it");
  expect(movedInWords(20)).toContain("20 items lie farther");
});

test("a set that was read in part is told by its own count", () => {
  expect(sizeInWords({ num_items: 3, share: 0.5 }, null)).toEqual(["3 items, 50.0% of the space."]);
  const [whole, part] = sizeInWords({ num_items: 6616, share: 0.827 }, { count: 6968, total: 8000 });
  expect(whole).toBe("6,968 items, 87.1% of the space.");
  expect(part).toContain("6,616 items, drawn evenly of the 6,968");
});

test("a value is asked for with its column", () => {
  expect([termName({ term: "drama", column: "" }), termName({ term: "Drama", column: "genres" })]).toEqual(["drama", "Drama (genres)"]);
});

test("a map is coloured at first by regions, else by a column of few values", async () => {
  const shades: Record<string, number[]> = { one: [3, 3, 3], many: Array.from({ length: 40 }, (_, n) => n), few: [0, 1, 1], others: [0, 2, 2, 2] };
  const read = async (name: string) => ({ source: "column", name, names: name === "others" ? ["a", "b", "other"] : [], range: [0, 1] as [number, number], shades: btoa(String.fromCharCode(...shades[name]!)) });
  expect(await firstColor({ column: ["one", "many", "others", "few"], regions: [] }, read)).toEqual(["column", "few"]);
  expect(await firstColor({ column: ["one", "many", "others"] }, read)).toEqual(["column", "many"]);
  expect(await firstColor({ column: ["one"] }, read)).toBeNull();
  expect(await firstColor({ column: ["few"], regions: ["regions"] }, read)).toEqual(["regions", "regions"]);
});
