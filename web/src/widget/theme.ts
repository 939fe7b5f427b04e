// Whether what is around an element is dark: by the first colour behind it, whatever program the notebook is open in.

export function themeAround(element: HTMLElement): "dark" | "light" {
  for (let at: Node | null = element.parentNode; at; at = at instanceof ShadowRoot ? at.host : at.parentNode) {
    if (!(at instanceof Element)) continue;
    const light = lightness(getComputedStyle(at).backgroundColor);
    if (light !== null) return light < 0.5 ? "dark" : "light";
  }
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

/** Of a colour as browsers compute it, 0 to 1; null for one that is mostly clear, and for what is none. */
export function lightness(css: string): number | null {
  const [red, green, blue, alpha = 1] = (css.match(/^rgba?\(([^)]*)\)$/)?.[1] ?? "").split(/[\s,/]+/).map(Number);
  if (red === undefined || green === undefined || blue === undefined || !(alpha >= 0.5)) return null;
  return (0.299 * red + 0.587 * green + 0.114 * blue) / 255;
}
