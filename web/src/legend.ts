// What a map can be coloured by, and what its colours mean.

import type { Colors } from "./api";
import { glow, namedColor, ramp, type Theme } from "./color";
import { button, el, fixed } from "./dom";

export type Meaning = Omit<Colors, "shades">;

export function colorOptions(sources: Record<string, string[]>): HTMLOptionElement[] {
  const options = [el("option", { attrs: { value: "" } }, "one colour")];
  for (const [source, names] of Object.entries(sources)) {
    for (const name of names) {
      const text = source === "word" ? "glow: a word …" : source === "regions" ? "regions" : `${source}: ${name}`;
      options.push(el("option", { attrs: { value: `${source}:${name}` } }, text));
    }
  }
  return options;
}

/** A number as an end of a scale; one of four digits may be a year. */
export function numeral(value: number): string {
  return (Number(value.toFixed(3)) + 0).toLocaleString("en", { useGrouping: Math.abs(value) >= 10_000, maximumFractionDigits: 3 });
}

function swatch(css: string): HTMLElement {
  const made = el("i", { attrs: { "aria-hidden": "true" } });
  made.style.background = css;
  return made;
}

export function legendOf(found: Meaning, theme: Theme, clear: () => void): Node[] {
  const close = button("×", clear, { attrs: { "aria-label": "One colour again" } });
  if (found.names.length) {
    const css = (n: number): string => (n < 11 ? namedColor(theme, n) : theme.plain);
    return [el("b", {}, found.name), close, el("ul", {}, ...found.names.slice(0, 12).map((one, n) => el("li", {}, swatch(css(n)), one)))];
  }
  const scale = el("div", { class: "scale", attrs: { "aria-hidden": "true" } });
  const color = found.source === "word" ? glow : ramp;
  scale.append(...Array.from({ length: 24 }, (_, n) => swatch(color(theme, n / 23))));
  const [low, high] = found.range;
  const unit = (one: number): string => (found.source === "concept" ? `${fixed(one, 1)} sd` : numeral(one));
  const ends = found.source === "word" ? ["0%", "100%"] : [unit(low), unit(high)];
  const what = found.source === "word" ? `probability that the lexicon reads “${found.name}”` : found.source === "concept" ? `along ${found.name}` : found.name;
  return [el("b", {}, what), close, scale, el("p", { class: "ends" }, el("span", {}, ends[0]!), el("span", {}, ends[1]!))];
}
