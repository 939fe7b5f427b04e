// Elements from code. Text goes in as text: nothing that the server sends is ever parsed as markup.

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
    if (name.startsWith("aria-")) made.setAttribute(name, String(value));
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false) made.setAttribute(name, String(value));
  }
  for (const [name, listener] of Object.entries(given.on ?? {})) {
    made.addEventListener(name, listener as EventListener);
  }
  made.append(...children.filter((one): one is Node | string => one !== null && one !== undefined && one !== false));
  return made;
}

export function button(text: string, press: () => void, given: Given = {}): HTMLButtonElement {
  return el("button", { ...given, attrs: { type: "button", ...given.attrs }, on: { click: press } }, text);
}

/** A bar from 0 to 1 behind a text; its width is set from code, for the page's policy lets no style stand in markup. */
export function bar(share: number, name = "bar"): HTMLSpanElement {
  const fill = el("span", { class: name, attrs: { "aria-hidden": "true" } });
  fill.style.setProperty("--share", String(Math.max(0, Math.min(1, share))));
  return fill;
}

export function percent(share: number): string {
  return `${Math.round(100 * share)}%`;
}
