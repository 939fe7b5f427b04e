// Pages of what is more than one point: a walk, a reason, a set, a person, two spaces.

import * as api from "./api";
import type { Migration, Moved, PointInfo, SetInfo, Space, Tastes, Why } from "./api";
import { nearList, termChips } from "./answer";
import { bar, button, counted, el, fixed, name, names, percent, type Child } from "./dom";
import { shown } from "./foreign";
import { message } from "./panel";
import { called, distinct, type Items, type Naming } from "./point";
import { distanceOf, isLittleKnown, quoted, sizeInWords, termName, type Drawn } from "./words";

export function walkParts(steps: PointInfo[], ends: [string, string], open: (step: number) => void, glow: (word: string) => void): Child[] {
  return [
    el("p", { class: "quiet" }, "Steps on the straight line between the two vectors; it need not be straight on the map."),
    el(
      "ol",
      { class: "steps" },
      ...steps.map((one, n) => {
        const far = distanceOf(one);
        const title = n === 0 ? ends[0] : n === steps.length - 1 ? ends[1] : `${Math.round(100 * (one.share ?? 0))}% of the way`;
        return el(
          "li",
          {},
          button(title, () => open(n), { class: "step" }),
          far.isDoubted && el("p", { class: "doubt" }, far.text),
          termChips(one.words, glow, 4),
          n > 0 && n < steps.length - 1 && one.nearest[0] && el("p", { class: "quiet" }, "nearest: ", name(called(one.nearest[0].label, one.nearest[0].id))),
        );
      }),
    ),
  ];
}

/** Whether two points are near at all, so that there is something to explain. */
export function isMatch(found: Why): boolean {
  return !found.verdict.startsWith("NO MATCH");
}

export function whyParts(found: Why): Child[] {
  const rows = [...found.words].map((one) => ({ name: termName(one), share: one.share, note: `${percent(one.of_first)} and ${percent(one.of_second)}; without it rank ${found.rank} becomes ${one.rank_without}` }));
  const all = [{ name: "what all items share", share: found.common, note: "there for every pair" }, ...rows, { name: "rest", share: found.rest, note: "not explained" }];
  const top = Math.max(...all.map((one) => Math.abs(one.share)), 1e-9);
  return [
    el("p", { class: found.is_found ? "verdict" : "doubt" }, found.verdict),
    !isMatch(found) && el("p", { class: "quiet" }, "Where they lie side by side, the map shows them nearer than they are: it is a picture of the space, and not all of it."),
    el("p", { class: "quiet" }, `Cosine ${fixed(found.score, 2)}, rank ${found.rank.toLocaleString()} of ${found.num_items.toLocaleString()}; nearer than ${found.nearer_than.toFixed(0)}% of random pairs.`),
    el(
      "ul",
      { class: "shares" },
      ...all.map((one) => el("li", { attrs: { title: one.note } }, el("span", {}, name(one.name)), bar(Math.abs(one.share) / top, one.share < 0 ? "bar against" : "bar"), el("b", {}, `${one.share < 0 && Math.abs(one.share) >= 0.0005 ? "−" : "+"}${Math.abs(one.share).toFixed(3)}`))),
    ),
    el("p", { class: "quiet" }, "The parts sum to the cosine. Point at a word for its probability in both."),
  ];
}

/** What is done with the parts of a set. */
export interface SetActions {
  open(id: string): void;
  glow(word: string): void;
  naming: Naming;
}

/** What a set shares; `drawn` is the set where only some of it was read. */
export function setParts(found: SetInfo, { open, glow, naming }: SetActions, more: Child[] = [], drawn: Drawn | null = null): Child[] {
  const [rest, among] = drawn ? [", the rest of these items included", " (the rest of these items is among them)"] : ["", ""];
  return [
    ...sizeInWords(found, drawn).map((line) => el("p", { class: "quiet" }, line)),
    ...found.flags.map((flag) => el("p", { class: "doubt" }, flag)),
    ...more,
    el("h3", {}, "More of it than elsewhere ", el("small", {}, `share here · in all others${rest}`)),
    features([...found.shared.values, ...found.shared.words]),
    el("details", {}, el("summary", {}, `Against ${found.around || "what is around"}${among} `, el("small", {}, "here · there")), features([...found.apart.values, ...found.apart.words])),
    el("h3", {}, "Words of its middle"),
    termChips(found.words, glow),
    el("h3", {}, "Most typical"),
    nearList(found.geometry.typical, naming, open, 5),
    el("details", {}, el("summary", {}, "At its edge"), nearList(found.geometry.edge, naming, open, 5)),
  ];
}

function features(found: api.Feature[]): HTMLElement {
  if (!found.length) return el("p", { class: "quiet" }, "Nothing that stands up to a test: no value or word is more frequent here beyond chance.");
  const best = [...found].sort((a, b) => b.inside * Math.log(b.inside / Math.max(b.outside, 1e-4)) - a.inside * Math.log(a.inside / Math.max(a.outside, 1e-4))).slice(0, 8);
  return el(
    "ul",
    { class: "shares" },
    ...best.map((one) =>
      el("li", {}, el("span", {}, name(one.name), one.column && el("small", {}, " ", name(one.column))), bar(one.inside, "bar", one.outside), el("b", {}, percent(one.inside), el("small", {}, ` · ${rare(one.outside)}`))),
    ),
  );
}

/** A share outside, of which less than half a percent is no zero. */
function rare(share: number): string {
  return share > 0 && share < 0.005 ? "<1%" : percent(share);
}

/** A form for a person's ratings: items by their labels, a mark from 1 to 5 each; none is given before it is chosen. */
export function personParts(items: Items, most: number, read: (expression: string, unrated: string[]) => void): Child[] {
  const list = el("datalist", { attrs: { id: "rated-items" } });
  const input = el("input", { attrs: { type: "text", list: "rated-items", "aria-label": "An item to rate", placeholder: "Type the name of an item …", autocomplete: "off", name: "rated" } });
  const rated = el("ul", { class: "rated" });
  const said = el("p", { class: "quiet", attrs: { role: "status" } });
  const labels = distinct(items).map(shown);
  const byLabel = new Map(labels.map((label, row) => [label.toLowerCase(), row]));
  const ratings = new Map<number, HTMLSelectElement>();
  input.addEventListener("input", () => {
    const wanted = input.value.toLowerCase();
    const found = wanted.length < 2 ? [] : labels.filter((one) => one.toLowerCase().includes(wanted)).slice(0, most);
    list.replaceChildren(...found.map((one) => el("option", { attrs: { value: one } })));
  });
  const add = (): void => {
    const row = byLabel.get(input.value.trim().toLowerCase());
    if (row === undefined) return void (said.textContent = "No item has that name; choose one of the list.");
    said.textContent = "";
    input.value = "";
    if (ratings.has(row)) return;
    const marks = [5, 4, 3, 2, 1].map((one) => el("option", { attrs: { value: one } }, `${one}`));
    const mark = el("select", { attrs: { "aria-label": `Rating of ${labels[row]}` } }, el("option", { attrs: { value: "" } }, "rate it"), ...marks);
    const line = el("li", {}, el("span", {}, name(labels[row]!)), mark, button("×", () => { ratings.delete(row); line.remove(); }, { attrs: { "aria-label": `Remove ${labels[row]}` } }));
    ratings.set(row, mark);
    rated.append(line);
  };
  const submit = (event: Event): void => {
    event.preventDefault();
    add();
    input.focus();
  };
  const readNow = (): void => {
    const rows = [...ratings.keys()];
    const isRated = (row: number): boolean => ratings.get(row)!.value !== "";
    if (!rows.some(isRated)) return void (said.textContent = "Nothing is rated yet: add an item and choose a rating from 1 to 5.");
    const marks = rows.filter(isRated).map((row) => `${quoted(items.ids[row]!)}: ${ratings.get(row)!.value}`);
    read(`user({${marks.join(", ")}})`, rows.filter((row) => !isRated(row)).map((row) => labels[row]!));
  };
  return [
    el("p", { class: "quiet" }, "Rate some items as somebody would, low marks too: equal ones say only what was chosen. What is read is a prediction; judge nobody by it."),
    el("form", { class: "ask", on: { submit } }, input, list, el("button", { attrs: { type: "submit" } }, "Add")),
    rated,
    said,
    button("Read this person", readNow, { class: "primary" }),
  ];
}

/** What a person is predicted to like; of few ratings the words alone, for how much is not known. */
export function tasteParts(found: Tastes, isLittle = isLittleKnown(found.expression)): Child[] {
  const like = found.like.length ? names(found.like, "; ") : ["nothing clear"];
  if (isLittle) {
    return [el("h3", {}, "May like"), tasteWords(found.more), el("h3", {}, "May like less"), tasteWords(found.less), el("p", { class: "quiet" }, "Perhaps more of what is in: ", ...like, ".")];
  }
  const lines = (tastes: api.Taste[]): HTMLElement =>
    tastes.length
      ? el("ul", { class: "shares" }, ...tastes.map((one) => el("li", { attrs: { title: one.items.join("; ") } }, el("span", {}, name(one.term), one.column && el("small", {}, " ", name(one.column))), bar(one.percentile / 100), el("b", {}, `${one.percentile.toFixed(0)}%`))))
      : el("p", { class: "quiet" }, "Nothing that is clear.");
  return [
    el("h3", {}, "Likes more than others"),
    lines(found.more),
    el("h3", {}, "Likes less"),
    lines(found.less),
    el("p", { class: "quiet" }, `Percent of ${found.num_people.toLocaleString()} people of whom less is predicted. More of what is in: `, ...like, "."),
  ];
}

function tasteWords(tastes: api.Taste[]): HTMLElement {
  if (!tastes.length) return el("p", { class: "quiet" }, "Nothing that is clear.");
  return el("p", { class: "tastes" }, ...names(tastes.map(termName)));
}

/** Items with how many of their neighbours stay, and which were near and are now. */
function keptList(items: Moved[], kind: string, naming: Naming, open: (id: string) => void): HTMLElement {
  return el(
    "ol",
    { class: `near ${kind}` },
    ...items.map((one) =>
      el("li", {}, button(naming(one.label, one.id), () => open(one.id)), el("span", { class: "number" }, `${percent(one.recall)} stay`), el("small", {}, "near ", ...names(firstNamed(one.old)), "; now ", ...names(firstNamed(one.new)))),
    ),
  );
}

/** The first two of some labels; a blank one is said to be blank, for its id is not known here. */
function firstNamed(labels: string[]): string[] {
  return labels.slice(0, 2).map((one) => (one.trim() ? one : "(no name)"));
}

/** What changed from one space to another: the moved items first. */
export function compareParts(found: Migration, naming: Naming, open: (id: string) => void): Child[] {
  const { recall, moved } = found;
  const isNamed = new Set(moved.map((one) => one.id));
  const others = found.changed.filter((one) => !isNamed.has(one.id) && one.recall < 1);
  return [
    el("p", { class: "verdict" }, `Of an item's ${found.k} nearest ${percent(recall.value)} [${percent(recall.low)}, ${percent(recall.high)}] stay; by chance ${(100 * found.recall_by_chance).toFixed(1)}%.`),
    el("p", { class: "quiet" }, `${counted(found.num_shared, "item")} in both. ${movedInWords(found.num_moved)}`),
    el("h3", {}, "Moved most"),
    moved.length ? keptList(moved, "moved", naming, open) : el("p", { class: "quiet" }, "None to name."),
    others.length > 0 && el("h3", {}, "Neighbours of others ", el("small", {}, "fewest kept, and the middle")),
    others.length > 0 && keptList(others, "changed", naming, open),
  ];
}

/** How many items moved, and what that means: it says nothing of neighbours. */
export function movedInWords(count: number): string {
  const subject = count ? counted(count, "item") : "No item";
  return `${subject} lie${count > 1 ? "" : "s"} farther from where a linear map of the first space puts ${count > 1 ? "them" : "it"} than the others' spread explains.`;
}

/** The fewest items with the same ids that a comparison needs. */
const FEWEST_SHARED = 50;

/** How two spaces belong together. */
export interface Tie {
  /** Items that have the same id in both. */
  shared: number;
  /** Items of the first that have one of the same id or name in the second. */
  tied: number;
}

export function isComparable({ shared }: Tie): boolean {
  return shared >= FEWEST_SHARED;
}

/** Two maps of which the items cannot be held against each other. */
function apartParts(old: Space, now: Space, { shared, tied }: Tie): Child[] {
  const ids = shared ? `Only ${counted(shared, "item")} of ${FEWEST_SHARED} that a comparison needs have the same id in both spaces` : "The items of the two spaces have other ids";
  return [
    el("p", {}, `${ids}, so what moved cannot be told.`),
    tied
      ? el("p", { class: "quiet" }, `${counted(tied, "item")} of `, name(old.name), " have one of the same name in ", name(now.name), ": point at one, and the other map shows it. Blank names tie nothing, nor do those of several items.")
      : el("p", { class: "quiet" }, "No item has a name that is its own in both spaces; the maps stand side by side alone."),
  ];
}

/** What two spaces have in common; `read` compares them. */
export async function compareWith(old: Space, now: Space, tie: Tie, read: () => Promise<Migration>, naming: Naming, open: (id: string) => void): Promise<Child[]> {
  if (!isComparable(tie)) return apartParts(old, now, tie);
  try {
    return compareParts(await read(), naming, open);
  } catch (error) {
    return [
      el("p", { class: "doubt" }, message(error)),
      el("p", { class: "quiet" }, "The two maps are still tied: pointing at an item shows the item of that id, else the only one of that name, in the other."),
    ];
  }
}
