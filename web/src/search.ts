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

let number = 0;

export class Search {
  readonly element: HTMLElement;
  private readonly found = el("ul", { class: "found", attrs: { id: `found-${++number}`, role: "listbox", "aria-label": "Found items", hidden: true } });
  private readonly field: HTMLInputElement;
  /** The labels once they have come; Enter before that waits for them. */
  private known: string[] | null = null;
  private isEntered = false;
  /** Ids of the items, which are found when they are typed whole. */
  ids: string[] = [];
  /** Whether the rows are only the most alike, for none has the letters. */
  private isNearest = false;
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
    this.field.addEventListener("input", () => this.searched());
    this.field.addEventListener("keydown", (event) => this.pressed(event));
    this.field.addEventListener("blur", () => setTimeout(() => this.fold(), 150));
  }

  get labels(): string[] {
    return this.known ?? [];
  }

  set labels(labels: string[]) {
    const { isEntered } = this;
    this.known = labels;
    if (!this.typed) return;
    this.searched();
    if (isEntered) this.enter();
  }

  focus(): void {
    this.field.focus();
    this.field.select();
  }

  private searched(): void {
    this.isEntered = this.isNearest = false;
    const wanted = this.field.value.trim().toLowerCase();
    const [starts, holds]: [number[], number[]] = [[], []];
    if (wanted) {
      for (let row = 0; row < this.labels.length; row++) {
        const label = this.labels[row]!.toLowerCase();
        const at = label.indexOf(wanted);
        if (label === wanted) starts.unshift(row);
        else if (at === 0 && starts.length < MOST_FOUND) starts.push(row);
        else if (at > 0 && holds.length < MOST_FOUND) holds.push(row);
      }
    }
    const exact = starts.filter((row) => this.labels[row]!.toLowerCase() === wanted);
    const named = this.ids.indexOf(this.typed);
    this.rows = [...new Set([...exact, ...(named < 0 ? [] : [named]), ...starts, ...holds])].slice(0, MOST_FOUND);
    this.active = this.count ? 0 : -1;
    this.list();
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
    const found = this.rows.map((row, n) => option(n, () => this.take(row), this.labels[row]!));
    for (const one of this.active < 0 ? [] : this.offered) found.push(option(found.length, () => this.takeOffer(one), ...one.shown));
    const head = this.isNearest && found.length > 0 && el("li", { class: "quiet", attrs: { role: "presentation" } }, "Nothing has these letters. Most alike:");
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
      if (count && (this.active >= 0 || this.isNearest)) this.active = (from + (event.key === "ArrowDown" ? 1 : count - 1)) % count;
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
    this.rows = nearestLabels(this.labels, this.typed);
    this.isNearest = true;
    this.list();
    this.none(this.typed);
  }

  private fold(): void {
    this.isNearest = false;
    this.rows = [];
    this.active = -1;
    this.list();
  }
}
