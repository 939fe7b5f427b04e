// The bar above the map: which space, search, colours, what a drag does, and how it looks.

import type { Space } from "./api";
import { button, el, name, type Child } from "./dom";
import type { Mode } from "./map/spacemap";
import type { Items } from "./point";

export interface TopActions {
  space(space: Space): void;
  beside(space: Space | null): void;
  item(row: number): void;
  expression(text: string): void;
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
const MOST_FOUND = 12;

export class TopBar {
  readonly element = el("header", { class: "top" });
  private readonly search = el("input", {
    attrs: { type: "search", role: "combobox", "aria-expanded": false, "aria-controls": "found", "aria-autocomplete": "list", "aria-label": "Search items, or type a text or an expression and press Enter", placeholder: "Search items …  ( / )", autocomplete: "off", name: "search" },
  });
  private readonly found = el("ul", { attrs: { id: "found", role: "listbox", "aria-label": "Found items", hidden: true } });
  private readonly spaces = el("select", { attrs: { "aria-label": "Space", name: "space" } });
  private readonly besides = el("select", { attrs: { "aria-label": "A second space beside it", name: "beside" } });
  private readonly colors = el("select", { attrs: { "aria-label": "Colour by", name: "color" } });
  private readonly word = el("input", { attrs: { type: "text", "aria-label": "Glow where the lexicon reads this word", placeholder: "glow by a word …", autocomplete: "off", name: "word" } });
  private readonly more = button("⋯", () => this.unfold(), { class: "more", attrs: { "aria-label": "More", "aria-expanded": false, "aria-controls": "rest" } });
  private readonly modes = new Map<Mode, HTMLButtonElement>();
  private readonly person = button("Person", () => this.actions.person(), { attrs: { title: "Type somebody's ratings and read their profile" } });
  private rows: number[] = [];
  private active = -1;
  private items: Items | null = null;
  private all: Space[] = [];

  constructor(private readonly actions: TopActions) {
    for (const [mode, name, letter, what] of MODES) {
      const made = button(name, () => actions.mode(mode), { attrs: { "aria-pressed": mode === "look", title: `${what} (${letter})`, "aria-keyshortcuts": letter } });
      this.modes.set(mode, made);
    }
    this.element.append(
      el("span", { class: "brand" }, "vecspeak"),
      this.spaces,
      el("div", { class: "search" }, this.search, this.found),
      el("form", { class: "colors", on: { submit: (event: Event) => this.byWord(event) } }, this.colors, this.word),
      el("div", { class: "modes", attrs: { role: "group", "aria-label": "What a drag does" } }, ...this.modes.values()),
      this.more,
      el("div", { class: "rest", attrs: { id: "rest" } }, this.person, this.besides, button("◐", actions.theme, { attrs: { "aria-label": "Dark or light", title: "Dark or light" } }), button("?", actions.help, { attrs: { "aria-label": "Keys and gestures", title: "Keys and gestures" } })),
    );
    this.search.addEventListener("input", () => this.searched());
    this.search.addEventListener("keydown", (event) => this.pressed(event));
    this.search.addEventListener("blur", () => setTimeout(() => this.fold(), 150));
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

  setItems(items: Items): void {
    this.items = items;
  }

  setColors(sources: Record<string, string[]>, current: string): void {
    const options = [el("option", { attrs: { value: "" } }, "one colour")];
    for (const [source, names] of Object.entries(sources)) {
      for (const name of names) {
        const text = source === "word" ? "glow: a word …" : source === "regions" ? "regions" : `${source}: ${name}`;
        options.push(el("option", { attrs: { value: `${source}:${name}` } }, text));
      }
    }
    this.colors.replaceChildren(...options);
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
    this.search.select();
  }

  private byWord(event: Event): void {
    event.preventDefault();
    if (this.word.value.trim()) this.actions.color("word", this.word.value.trim());
  }

  private searched(): void {
    const wanted = this.search.value.trim().toLowerCase();
    const labels = this.items?.labels ?? [];
    const [starts, holds]: [number[], number[]] = [[], []];
    if (wanted) {
      for (let row = 0; row < labels.length && starts.length < MOST_FOUND; row++) {
        const at = labels[row]!.toLowerCase().indexOf(wanted);
        if (at === 0) starts.push(row);
        else if (at > 0 && holds.length < MOST_FOUND) holds.push(row);
      }
    }
    this.rows = [...starts, ...holds].slice(0, MOST_FOUND);
    this.active = wanted ? 0 : -1;
    this.list();
  }

  /** What is typed as an expression: what looks like none is a text, whose own vector is looked up. */
  private get typed(): string {
    const text = this.search.value.trim();
    return !text || /["({[*+]|^text:/.test(text) ? text : `text: ${text}`;
  }

  private list(): void {
    const labels = this.items?.labels ?? [];
    const { typed } = this;
    const option = (n: number, press: () => void, ...children: Child[]): HTMLElement =>
      el("li", { attrs: { role: "option", id: `found-${n}`, "aria-selected": n === this.active }, on: { mousedown: press } }, ...children);
    const found = this.rows.map((row, n) => option(n, () => this.take(row), labels[row]!));
    const what = typed.startsWith("text: ") ? "the vector of this text: " : "this expression: ";
    if (this.active >= 0) found.push(option(found.length, () => this.takeTyped(), el("small", {}, what), name(typed.replace(/^text: /, ""))));
    this.found.replaceChildren(...found);
    this.found.hidden = !found.length;
    this.search.setAttribute("aria-expanded", String(found.length > 0));
    if (this.active >= 0) this.search.setAttribute("aria-activedescendant", `found-${this.active}`);
    else this.search.removeAttribute("aria-activedescendant");
  }

  private pressed(event: KeyboardEvent): void {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      const count = this.rows.length + 1;
      if (this.active >= 0) this.active = (this.active + (event.key === "ArrowDown" ? 1 : count - 1)) % count;
      this.list();
    } else if (event.key === "Enter") {
      event.preventDefault();
      const row = this.rows[this.active];
      if (row !== undefined) this.take(row);
      else if (this.typed) this.takeTyped();
    } else if (event.key === "Escape") this.fold();
  }

  private take(row: number): void {
    this.fold();
    this.search.value = "";
    this.actions.item(row);
  }

  private takeTyped(): void {
    const { typed } = this;
    this.fold();
    this.actions.expression(typed);
  }

  private fold(): void {
    this.rows = [];
    this.active = -1;
    this.list();
  }
}

function split(value: string): [string, string] {
  const at = value.indexOf(":");
  return at < 0 ? [value, ""] : [value.slice(0, at), value.slice(at + 1)];
}
