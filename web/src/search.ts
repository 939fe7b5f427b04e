// A field that finds items by letters of their labels, with the keys of a combobox.

import { el, type Child } from "./dom";

/** What else a typed text can be, below the items of its letters. */
export interface Offer {
  shown: Child[];
  take(): void;
}

const MOST_FOUND = 12;
let number = 0;

export class Search {
  readonly element: HTMLElement;
  private readonly found = el("ul", { class: "found", attrs: { id: `found-${++number}`, role: "listbox", "aria-label": "Found items", hidden: true } });
  private readonly field: HTMLInputElement;
  /** The labels once they have come; Enter before that waits for them. */
  private known: string[] | null = null;
  private isEntered = false;
  private rows: number[] = [];
  private active = -1;

  constructor(
    name: string,
    placeholder: string,
    private readonly pick: (row: number) => void,
    private readonly offers: (text: string) => Offer[],
    /** Says that a text is neither an item's nor anything else. */
    private readonly none: () => void = () => undefined,
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
    this.isEntered = false;
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
    this.rows = [...starts, ...holds].slice(0, MOST_FOUND);
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
    this.found.replaceChildren(...found);
    this.found.hidden = !found.length;
    this.field.setAttribute("aria-expanded", String(found.length > 0));
    if (this.active >= 0) this.field.setAttribute("aria-activedescendant", `${this.found.id}-${this.active}`);
    else this.field.removeAttribute("aria-activedescendant");
  }

  private pressed(event: KeyboardEvent): void {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      const { count } = this;
      if (count && this.active >= 0) this.active = (this.active + (event.key === "ArrowDown" ? 1 : count - 1)) % count;
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
    if (!offer) return this.none();
    this.field.value = "";
    offer.take();
  }

  private fold(): void {
    this.rows = [];
    this.active = -1;
    this.list();
  }
}
