// Elements from code. Text goes in as text: nothing that the server sends is ever parsed as markup.

import { shown } from "./foreign";

export type Child = Node | string | null | undefined | false;

interface Given {
  class?: string;
  attrs?: Record<string, string | number | boolean>;
  on?: Partial<Record<keyof HTMLElementEventMap, (event: never) => void>>;
}

export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  given: Given = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  if (given.class) made.className = given.class;
  for (const [name, value] of Object.entries(given.attrs ?? {})) {
    if (name.startsWith("aria-") || name === "title") made.setAttribute(name, shown(String(value)));
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false) made.setAttribute(name, String(value));
  }
  for (const [name, listener] of Object.entries(given.on ?? {})) {
    made.addEventListener(name, listener as EventListener);
  }
  made.append(...nodesOf(children));
  return made;
}

/** What there is of some children; of texts what others see of them. */
export function nodesOf(children: Child[]): (Node | string)[] {
  return children.flatMap((one) => (typeof one === "string" ? shown(one) : one || []));
}

/** A name amid a sentence of ours: writing from right to left in it turns nothing else round. */
export function name(text: string): HTMLElement {
  return el("bdi", {}, text);
}

/** Names with something between them. */
export function names(texts: string[], between = ", "): Child[] {
  return texts.flatMap((one, n) => [n ? between : "", name(one)]);
}

export function button(text: string, press: () => void, given: Given = {}): HTMLButtonElement {
  return el("button", { ...given, attrs: { type: "button", ...given.attrs }, on: { click: press } }, text);
}

/**
 * A bar from 0 to 1 behind a text, perhaps with a stroke where another share is; its width is set from code, for the
 * page's policy lets no style stand in markup.
 */
export function bar(share: number, kind = "bar", other: number | null = null): HTMLSpanElement {
  const fill = el("span", { class: kind, attrs: { "aria-hidden": "true" } }, other === null ? null : el("i"));
  fill.style.setProperty("--share", String(Math.max(0, Math.min(1, share))));
  if (other !== null) fill.style.setProperty("--other", String(Math.max(0, Math.min(1, other))));
  return fill;
}

export function percent(share: number): string {
  return `${Math.round(100 * share)}%`;
}

/** A count with its noun. */
export function counted(count: number, noun: string): string {
  return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
}

/** A number with some decimals; what rounds to nothing has no sign. */
export function fixed(value: number, decimals: number): string {
  const text = value.toFixed(decimals);
  return Number(text) === 0 ? text.replace("-", "") : text;
}
