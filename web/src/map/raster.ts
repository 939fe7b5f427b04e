// Points as discs in a buffer of pixels: one pass over typed arrays, without WebGL and without code made at run time.

import type { View } from "./view";

/** Where the pixels of a disc lie: whole ones, and those of its edge with how much of them is covered (of 256). */
export interface Disc {
  radius: number;
  whole: Int32Array;
  edge: Int32Array;
  covered: Uint16Array;
}

/** A disc of a radius in pixels, in a buffer of some width. */
export function disc(radius: number, width: number): Disc {
  const reach = Math.ceil(radius + 0.5);
  const whole: number[] = [];
  const edge: number[] = [];
  const covered: number[] = [];
  for (let y = -reach; y <= reach; y++) {
    for (let x = -reach; x <= reach; x++) {
      const share = Math.max(0, Math.min(1, radius + 0.5 - Math.hypot(x, y)));
      if (share >= 0.98) whole.push(y * width + x);
      else if (share > 0.04) {
        edge.push(y * width + x);
        covered.push(Math.round(255 * share));
      }
    }
  }
  return { radius: reach, whole: Int32Array.from(whole), edge: Int32Array.from(edge), covered: Uint16Array.from(covered) };
}

export interface Points {
  xs: Float32Array;
  ys: Float32Array;
  /** Which colour of the palette each has. */
  shades: Uint8Array;
  /** In which order they are drawn; the last lie on top. */
  order: Uint32Array;
}

/** Draws all points that are in view over a background, or over what is there. Colours are 0xAABBGGRR, as a little-endian buffer has them. */
export function drawPoints(
  pixels: Uint32Array,
  width: number,
  height: number,
  points: Points,
  palette: Uint32Array,
  view: View,
  shape: Disc,
  background: number | null,
): void {
  if (background !== null) pixels.fill(background);
  const { xs, ys, shades, order } = points;
  const { whole, edge, covered, radius } = shape;
  const [scale, x0, y0] = [view.scale, width / 2 - view.x * view.scale, height / 2 + view.y * view.scale];
  const [right, bottom] = [width - radius - 1, height - radius - 1];
  const [numWhole, numEdge] = [whole.length, edge.length];
  for (let n = 0; n < order.length; n++) {
    const row = order[n]!;
    const px = (x0 + xs[row]! * scale + 0.5) | 0;
    const py = (y0 - ys[row]! * scale + 0.5) | 0;
    if (px <= radius || py <= radius || px >= right || py >= bottom) continue;
    const color = palette[shades[row]!]!;
    const at = py * width + px;
    for (let k = 0; k < numWhole; k++) pixels[at + whole[k]!] = color;
    const [redBlue, green] = [color & 0xff00ff, (color >>> 8) & 0xff];
    for (let k = 0; k < numEdge; k++) {
      const place = at + edge[k]!;
      const [below, share] = [pixels[place]!, covered[k]!];
      // red and blue are mixed together, sixteen bits apart
      const mixed = ((redBlue * share + (below & 0xff00ff) * (255 - share)) >>> 8) & 0xff00ff;
      const middle = (green * share + ((below >>> 8) & 0xff) * (255 - share)) >>> 8;
      pixels[place] = (0xff000000 | mixed | (middle << 8)) >>> 0;
    }
  }
}

/** A colour over another, of which a share of 1 hides all. */
export function blended(over: number, under: number, share: number): number {
  let made = 0xff;
  for (const shift of [16, 8, 0]) {
    const [a, b] = [(over >>> shift) & 0xff, (under >>> shift) & 0xff];
    made = (made << 8) | Math.round(b + (a - b) * share);
  }
  return made >>> 0;
}

/** [N] rows in the order of their shades, so that what glows lies on top; 255, for no value, at the bottom. */
export function byShade(shades: Uint8Array): Uint32Array {
  const starts = new Uint32Array(257);
  const place = (shade: number): number => (shade === 255 ? 0 : shade + 1);
  for (const shade of shades) starts[place(shade) + 1]!++;
  for (let n = 0; n < 256; n++) starts[n + 1]! += starts[n]!;
  const order = new Uint32Array(shades.length);
  for (let row = 0; row < shades.length; row++) order[starts[place(shades[row]!)]!++] = row;
  return order;
}
