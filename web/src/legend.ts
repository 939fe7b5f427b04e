// What a map can be coloured by, and what its colours mean.

import type { Colors } from "./api";
import { bytes, glow, namedColor, ramp, type Theme } from "./color";
import { button, el, fixed } from "./dom";

export type Meaning = Omit<Colors, "shades">;

/** The choices; `making` is what makes regions where there are none. */
export function colorOptions(sources: Record<string, string[]>, making: string): HTMLOptionElement[] {
  const options = [el("option", { attrs: { value: "" } }, "one colour")];
  for (const [source, names] of Object.entries(sources)) {
    for (const name of names) {
      const text = source === "word" ? "glow: a word …" : source === "regions" ? "regions" : `${source}: ${name}`;
      options.push(el("option", { attrs: { value: `${source}:${name}` } }, text));
    }
  }
  if (!sources["regions"]?.length) options.push(el("option", { attrs: { value: "regions", disabled: true } }, `regions: none yet, ${making} makes them`));
  return options;
}

/** The fewest and the most values of a column by which a map is coloured at first. */
const [FEWEST, MOST] = [2, 12];

/** Whether a column tells groups apart: it has few values, and most items have one that has its own colour. */
export function isTelling({ names }: Pick<Meaning, "names">, shades: Uint8Array): boolean {
  const values = numValues(shades);
  const place = names.at(-1) === "other" ? names.length - 1 : -1;
  const others = shades.reduce((sum, shade) => sum + Number(shade === place), 0);
  return values >= FEWEST && values <= MOST && 2 * others <= shades.length;
}

/** How many values are told apart by their shades. */
function numValues(shades: Uint8Array): number {
  return new Set(shades.filter((shade) => shade !== 255)).size;
}

const TRIED = 8;

/** What a map is coloured by at first: its regions, else the first column that tells groups apart, else the first that has several values. */
export async function firstColor(sources: Record<string, string[]>, read: (column: string) => Promise<Colors>): Promise<[string, string] | null> {
  if (sources["regions"]?.length) return ["regions", "regions"];
  let several = "";
  for (const name of (sources["column"] ?? []).slice(0, TRIED)) {
    const found = await read(name);
    const shades = bytes(found.shades);
    if (isTelling(found, shades)) return ["column", name];
    if (!several && numValues(shades) > 1) several = name;
  }
  return several ? ["column", several] : null;
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

/** What the colours mean; `more` is a line below. */
export function legendOf(found: Meaning, theme: Theme, clear: () => void, more = ""): Node[] {
  const below = more ? [el("p", { class: "quiet" }, more)] : [];
  const close = button("×", clear, { attrs: { "aria-label": "One colour again" } });
  if (found.names.length) {
    const css = (n: number): string => (n < 11 ? namedColor(theme, n) : theme.plain);
    return [el("b", {}, found.name), close, el("ul", {}, ...found.names.slice(0, 12).map((one, n) => el("li", {}, swatch(css(n)), one))), ...below];
  }
  const scale = el("div", { class: "scale", attrs: { "aria-hidden": "true" } });
  const color = found.source === "word" ? glow : ramp;
  scale.append(...Array.from({ length: 24 }, (_, n) => swatch(color(theme, n / 23))));
  const [low, high] = found.range;
  const unit = (one: number): string => (found.source === "concept" ? `${fixed(one, 1)} sd` : numeral(one));
  const ends = found.source === "word" ? ["0%", "100%"] : [unit(low), unit(high)];
  const what = found.source === "word" ? `probability that the lexicon reads “${found.name}”` : found.source === "concept" ? `along ${found.name}` : found.name;
  return [el("b", {}, what), close, scale, el("p", { class: "ends" }, el("span", {}, ends[0]!), el("span", {}, "–"), el("span", {}, ends[1]!)), ...below];
}
