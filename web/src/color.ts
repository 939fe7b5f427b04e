// Colours of points, as pixels of a little-endian buffer have them: 0xAABBGGRR.

export function packed(css: string): number {
  const [red, green, blue] = [1, 3, 5].map((at) => parseInt(css.slice(at, at + 2), 16));
  return ((0xff << 24) | (blue! << 16) | (green! << 8) | red!) >>> 0;
}

function mixed(from: string, to: string, share: number): string {
  const part = (css: string, at: number): number => parseInt(css.slice(at, at + 2), 16);
  const channels = [1, 3, 5].map((at) => Math.round(part(from, at) + (part(to, at) - part(from, at)) * share));
  return `#${channels.map((one) => one.toString(16).padStart(2, "0")).join("")}`;
}

export interface Theme {
  isDark: boolean;
  background: string;
  ink: string;
  paper: string;
  accent: string;
  plain: string;
  faint: string;
}

export const LIGHT: Theme = {
  isDark: false, background: "#fbfaf7", ink: "#1d2129", paper: "#fbfaf7", accent: "#2f4bc4", plain: "#7d8699", faint: "#dcdad3",
};
export const DARK: Theme = {
  isDark: true, background: "#11141a", ink: "#e8eaf0", paper: "#11141a", accent: "#8aa2ff", plain: "#7c869c", faint: "#2a303b",
};

// hues that stay apart for most kinds of colour blindness, after Okabe and Ito, made calmer
const NAMED_LIGHT = ["#2f6fb2", "#d9822b", "#2c8f6f", "#b5487f", "#8a6fc0", "#c4a21a", "#4aa8c4", "#a3513c", "#6b8e3a", "#d46a8a", "#5d6b8a"];
const NAMED_DARK = ["#6aa7e6", "#f0a355", "#57c29d", "#e07fb0", "#b49cf0", "#e3c84d", "#74cbe4", "#d98468", "#9dc267", "#f09cb5", "#98a5c4"];

export function namedColor(theme: Theme, place: number): string {
  const colors = theme.isDark ? NAMED_DARK : NAMED_LIGHT;
  return colors[place % colors.length]!;
}

/** From faint to glowing; for probabilities. */
export function glow(theme: Theme, share: number): string {
  const ramp = theme.isDark ? [theme.faint, "#5a4a78", "#d0703a", "#ffd166"] : [theme.faint, "#e3b98a", "#cf5f2e", "#7a1237"];
  return along(ramp, share);
}

/** From one side to the other; for numbers and concepts, by how many items have less. */
export function ramp(theme: Theme, share: number): string {
  return along(theme.isDark ? ["#3f6fd0", "#4b5568", "#f0a355"] : ["#2458a8", "#cfcdc6", "#c2571a"], share);
}

function along(stops: string[], share: number): string {
  const at = Math.max(0, Math.min(0.9999, share)) * (stops.length - 1);
  const first = Math.floor(at);
  return mixed(stops[first]!, stops[first + 1]!, at - first);
}

/** 256 colours for the shades that the server gives for a source. */
export function paletteOf(theme: Theme, source: string, numNames: number): Uint32Array {
  const made = new Uint32Array(256).fill(packed(theme.faint));
  for (let shade = 0; shade < 255; shade++) {
    const css = numNames
      ? shade < numNames ? namedColor(theme, shade) : theme.faint
      : source === "word" ? glow(theme, shade / 254) : source === "" ? theme.plain : ramp(theme, shade / 254);
    made[shade] = packed(css);
  }
  if (source === "column" && numNames > 11) made[11] = packed(theme.plain);
  return made;
}

export function bytes(base64: string): Uint8Array {
  const text = atob(base64);
  const made = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) made[i] = text.charCodeAt(i);
  return made;
}
