// A field that finds items by letters of their labels, with the keys of a combobox.

import { el, nodesOf, type Child } from "./dom";

/** What else a typed text can be, below the items of its letters. */
export interface Offer {
  shown: Child[];
  take(): void;
}

const MOST_FOUND = 12;
const MOST_NEAREST = 6;
/** The least that a label must be like a text to be offered for it. */
const LEAST_ALIKE = 0.2;

function pairsOf(text: string): Set<string> {
  const letters = ` ${text.toLowerCase()} `;
  return new Set(Array.from({ length: letters.length - 1 }, (_, at) => letters.slice(at, at + 2)));
}

/** Rows of the labels that are most like a text, by the pairs of letters that both have (Dice's coefficient). */
export function nearestLabels(labels: string[], text: string, most = MOST_NEAREST): number[] {
  const wanted = pairsOf(text);
  const alike = labels.map((label, row): [number, number] => {
    const own = pairsOf(label.slice(0, 200));
    const common = [...own].filter((pair) => wanted.has(pair)).length;
    return [(2 * common) / (own.size + wanted.size), row];
  });
  return alike.filter(([share]) => share >= LEAST_ALIKE).sort((a, b) => b[0] - a[0]).slice(0, most).map(([, row]) => row);
}

/** What is searched. */
export interface Searched {
  labels: string[];
  /** Ids, which are found when they are typed whole; "" for one that is not known. */
  ids: string[];
  /** What each item is called in the list. */
  titles: string[];
}

/** Rows that a text finds, and how many have it as their whole label; none counts where the text is an id. */
export function foundRows({ labels, ids, titles }: Searched, text: string, most = MOST_FOUND): { rows: number[]; equal: number } {
  const wanted = text.toLowerCase();
  if (!wanted) return { rows: [], equal: 0 };
  const named = ids.indexOf(text);
  const [exact, starts, holds]: [number[], number[], number[]] = [[], [], []];
  let equal = 0;
  for (let row = 0; row < titles.length; row++) {
    const title = titles[row]!.toLowerCase();
    const isEqual = labels[row]!.trim().toLowerCase() === wanted;
    if (isEqual) equal++;
    const at = isEqual || title === wanted ? -2 : title.indexOf(wanted);
    const found = at === -2 ? exact : at === 0 ? starts : at > 0 ? holds : null;
    if (found && found.length < most) found.push(row);
  }
  const rows = [...new Set([...(named < 0 ? [] : [named]), ...exact, ...starts, ...holds])].slice(0, most);
  return { rows, equal: named < 0 ? equal : 0 };
}

let number = 0;

export class Search {
  readonly element: HTMLElement;
  private readonly found = el("ul", { class: "found", attrs: { id: `found-${++number}`, role: "listbox", "aria-label": "Found items", hidden: true } });
  private readonly field: HTMLInputElement;
  /** The items once they have come; Enter before that waits for them. */
  private known: Searched | null = null;
  private isEntered = false;
  /** Whether the rows are only the most alike, for none has the letters. */
  private isNearest = false;
  /** How many items have the text as their label; of several none is marked before an arrow is pressed. */
  private equal = 0;
  private rows: number[] = [];
  private active = -1;

  constructor(
    name: string,
    placeholder: string,
    private readonly pick: (row: number) => void,
    private readonly offers: (text: string) => Offer[],
    /** Says that a text is neither an item's nor anything else. */
    private readonly none: (text: string) => void = () => undefined,
  ) {
    this.field = el("input", {
      attrs: { type: "search", role: "combobox", "aria-expanded": false, "aria-controls": this.found.id, "aria-autocomplete": "list", "aria-label": name, placeholder, autocomplete: "off", name: "search" },
    });
    this.element = el("div", { class: "search" }, this.field, this.found);
    this.field.addEventListener("input", () => this.find());
    this.field.addEventListener("keydown", (event) => this.pressed(event));
    this.field.addEventListener("blur", () => setTimeout(() => this.fold(), 150));
  }

  private get items(): Searched {
    return this.known ?? { labels: [], ids: [], titles: [] };
  }

  /** What is searched from now on; null while it is still to come. */
  set searched(items: Searched | null) {
    const { isEntered } = this;
    this.known = items;
    if (!this.typed || !(isEntered || this.field.matches(":focus"))) return;
    this.find();
    if (isEntered) this.enter();
  }

  focus(): void {
    this.field.focus();
    this.field.select();
  }

  private find(): void {
    this.isEntered = this.isNearest = false;
    const { rows, equal } = foundRows(this.items, this.typed);
    [this.rows, this.equal] = [rows, equal];
    this.active = this.count && !this.isUnmarked ? 0 : -1;
    this.list();
  }

  /** Whether the rows are listed with none of them marked, so that one has to be chosen. */
  private get isUnmarked(): boolean {
    return this.isNearest || this.equal > 1;
  }

  private get head(): string {
    if (this.isNearest) return "Nothing has these letters. Most alike:";
    return this.equal > 1 ? `${this.equal.toLocaleString("en")} items have this name. Choose one, or type its id:` : "";
  }

  set placeholder(text: string) {
    this.field.placeholder = text;
  }

  private get typed(): string {
    return this.field.value.trim();
  }

  private get offered(): Offer[] {
    return this.typed ? this.offers(this.typed) : [];
  }

  /** How many choices there are. */
  private get count(): number {
    return this.rows.length + this.offered.length;
  }

  private list(): void {
    const option = (n: number, press: () => void, ...children: Child[]): HTMLElement =>
      el("li", { attrs: { role: "option", id: `${this.found.id}-${n}`, "aria-selected": n === this.active }, on: { mousedown: press } }, ...children);
    const found = this.rows.map((row, n) => option(n, () => this.take(row), this.items.titles[row]!));
    for (const one of this.active < 0 && this.equal < 2 ? [] : this.offered) found.push(option(found.length, () => this.takeOffer(one), ...one.shown));
    const head = found.length > 0 && this.head && el("li", { class: "quiet", attrs: { role: "presentation" } }, this.head);
    this.found.replaceChildren(...nodesOf([head]), ...found);
    this.found.hidden = !found.length;
    this.field.setAttribute("aria-expanded", String(found.length > 0));
    if (this.active >= 0) this.field.setAttribute("aria-activedescendant", `${this.found.id}-${this.active}`);
    else this.field.removeAttribute("aria-activedescendant");
  }

  private pressed(event: KeyboardEvent): void {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      const { count } = this;
      const from = this.active < 0 && event.key === "ArrowUp" ? 0 : this.active;
      if (count && (this.active >= 0 || this.isUnmarked)) this.active = (from + (event.key === "ArrowDown" ? 1 : count - 1)) % count;
      this.list();
    } else if (event.key === "Enter") {
      event.preventDefault();
      this.enter();
    } else if (event.key === "Escape") this.fold();
  }

  /** Take what is marked. A text that may be an item's name is nothing else before the labels are there. */
  private enter(): void {
    this.isEntered = this.known === null;
    if (this.isEntered) return;
    if (this.active < 0 && !this.isUnmarked) this.find(); // the list was folded meanwhile
    if (this.active < 0 && this.equal > 1) return this.list(); // which of them is not known: the list stays
    const row = this.rows[this.active];
    if (row !== undefined) this.take(row);
    else if (this.typed) this.takeOffer(this.offered[Math.max(0, this.active - this.rows.length)]);
  }

  private take(row: number): void {
    this.fold();
    this.field.value = "";
    this.pick(row);
  }

  private takeOffer(offer: Offer | undefined): void {
    this.fold();
    if (!offer) return this.missed();
    this.field.value = "";
    offer.take();
  }

  /** Says that nothing was found, and offers what is most alike; nothing of it is marked before an arrow is pressed. */
  private missed(): void {
    this.rows = nearestLabels(this.items.titles, this.typed);
    this.isNearest = true;
    this.list();
    this.none(this.typed);
  }

  private fold(): void {
    this.isNearest = false;
    this.equal = 0;
    this.rows = [];
    this.active = -1;
    this.list();
  }
}
