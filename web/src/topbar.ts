// The bar above the map: which space, search, colours, what a drag does, and how it looks.

import type { Space } from "./api";
import { button, el, name } from "./dom";
import { colorOptions } from "./legend";
import type { Mode } from "./map/spacemap";
import { Search, type Offer, type Searched } from "./search";

export interface TopActions {
  space(space: Space): void;
  beside(space: Space | null): void;
  item(row: number): void;
  expression(text: string): void;
  /** What was typed is no item's name, and can be nothing else. */
  nothing(text: string): void;
  color(source: string, name: string): void;
  mode(mode: Mode): void;
  person(): void;
  theme(): void;
  help(): void;
}

const MODES: [Mode, string, string, string][] = [
  ["look", "Look", "v", "Pick an item or an empty place; drag to move"],
  ["walk", "Walk", "w", "Drag from A to B, or pick two, and walk between"],
  ["why", "Why", "y", "Pick two items and hear why they are near"],
  ["lasso", "Lasso", "l", "Draw around items and hear what they share"],
];

export class TopBar {
  readonly element = el("header", { class: "top" });
  private readonly search = new Search("Search items, or type a text or an expression and press Enter", "Search …", (row) => this.actions.item(row), (text) => this.offers(text), (text) => this.actions.nothing(text));
  private readonly spaces = el("select", { attrs: { "aria-label": "Space", name: "space" } });
  private readonly besides = el("select", { attrs: { "aria-label": "A second space beside it", name: "beside" } });
  private readonly colors = el("select", { attrs: { "aria-label": "Colour by", name: "color" } });
  private readonly word = el("input", { attrs: { type: "text", "aria-label": "Glow where the lexicon reads this word", placeholder: "glow by a word …", autocomplete: "off", name: "word", hidden: true } });
  private readonly more = button("⋯", () => this.unfold(), { class: "more", attrs: { "aria-label": "More", "aria-expanded": false, "aria-controls": "rest" } });
  private readonly modes = new Map<Mode, HTMLButtonElement>();
  private readonly person = button("Person", () => this.actions.person(), { attrs: { title: "Type somebody's ratings and read their profile" } });
  private all: Space[] = [];
  private encoder = "";

  constructor(private readonly actions: TopActions) {
    for (const [mode, name, letter, what] of MODES) {
      const made = button(name, () => actions.mode(mode), { attrs: { "aria-pressed": mode === "look", title: `${what} (${letter})`, "aria-keyshortcuts": letter } });
      this.modes.set(mode, made);
    }
    this.element.append(
      el("span", { class: "brand" }, "vecspeak"),
      this.spaces,
      this.search.element,
      el("form", { class: "colors", on: { submit: (event: Event) => this.byWord(event) } }, this.colors, this.word),
      el("div", { class: "modes", attrs: { role: "group", "aria-label": "What a drag does" } }, ...this.modes.values()),
      this.more,
      el("div", { class: "rest", attrs: { id: "rest" } }, this.person, this.besides, button("◐", actions.theme, { attrs: { "aria-label": "Dark or light", title: "Dark or light" } }), button("?", actions.help, { attrs: { "aria-label": "Keys and gestures", title: "Keys and gestures" } })),
    );
    this.spaces.addEventListener("change", () => actions.space(this.all[Number(this.spaces.value)]!));
    this.besides.addEventListener("change", () => actions.beside(this.besides.value === "" ? null : this.all[Number(this.besides.value)]!));
    this.colors.addEventListener("change", () => {
      const [source = "", name = ""] = split(this.colors.value);
      this.word.hidden = source !== "word";
      if (source === "word") this.word.focus();
      else actions.color(source, name);
    });
  }

  setSpaces(all: Space[], current: Space, beside: Space | null): void {
    this.all = all;
    this.encoder = current.encoder;
    this.search.placeholder = this.encoder ? "Search or describe … (/)" : "Search … (/)";
    const several = new Set(all.map((one) => one.model)).size > 1;
    const name = (one: Space): string => (several ? `${one.model} / ${one.name}` : one.name);
    this.spaces.replaceChildren(...all.map((one, n) => el("option", { attrs: { value: n, selected: one === current } }, name(one))));
    this.besides.replaceChildren(
      el("option", { attrs: { value: "" } }, "beside: none"),
      ...all.flatMap((one, n) => (one === current ? [] : [el("option", { attrs: { value: n, selected: one === beside } }, `beside: ${name(one)}`)])),
    );
    this.besides.hidden = all.length < 2;
    this.person.hidden = !all.some((one) => one.num_users > 0);
  }

  /** What is searched; null while the items of another space are still to come. */
  setSearched(items: Searched | null): void {
    this.search.searched = items;
  }

  setColors(sources: Record<string, string[]>, current: string): void {
    this.colors.replaceChildren(...colorOptions(sources, "vecspeak atlas BUNDLE"));
    this.showColor(current);
  }

  showColor(current: string): void {
    const [source = "", name = ""] = split(current);
    this.colors.value = source === "word" ? "word:" : current;
    this.word.hidden = source !== "word";
    if (source === "word") this.word.value = name;
  }

  /** On a narrow window the last part of the bar is shown when it is asked for. */
  private unfold(): void {
    const isOpen = this.element.classList.toggle("unfolded");
    this.more.setAttribute("aria-expanded", String(isOpen));
  }

  setMode(mode: Mode): void {
    for (const [name, made] of this.modes) made.setAttribute("aria-pressed", String(name === mode));
  }

  focusSearch(): void {
    this.search.focus();
  }

  /** What a text can be besides an item's name: an expression, or a text whose own vector is looked up. */
  private offers(text: string): Offer[] {
    const asExpression: Offer = { shown: [el("small", {}, "this expression: "), name(text)], take: () => this.actions.expression(text) };
    const asText: Offer = { shown: [el("small", {}, "the vector of this text: "), name(text)], take: () => this.actions.expression(`text: ${text}`) };
    if (/^text:/.test(text)) return [asExpression];
    if (!this.encoder) return isExpression(text) ? [asExpression] : [];
    return isExpression(text) ? [asExpression, asText] : [asText];
  }

  private byWord(event: Event): void {
    event.preventDefault();
    if (this.word.value.trim()) this.actions.color("word", this.word.value.trim());
  }
}

function isExpression(text: string): boolean {
  return /["({[*+]|^text:/.test(text);
}

function split(value: string): [string, string] {
  const at = value.indexOf(":");
  return at < 0 ? [value, ""] : [value.slice(0, at), value.slice(at + 1)];
}
