// The picture of all points. Where the map is only moved, what was drawn moves with it, and no more than the strips
// that come into view are drawn: panning costs the same for a thousand points and for a million.

import type { Grid } from "./grid";
import { disc, drawPoints, type Points } from "./raster";
import type { View } from "./view";

/** Points in the colours of a palette; later ones lie above. `order` may leave some out. */
export interface Layer {
  points: Points;
  palette: Uint32Array;
}

/** What a picture shows; its corner is where 0, 0 of the map lies, in pixels. */
interface Drawn {
  layers: Layer[];
  background: number;
  radius: number;
  scale: number;
  x: number;
  y: number;
}

export class Picture {
  readonly pixels: Uint32Array<ArrayBuffer>;
  private drawn: Drawn | null = null;
  /** Of an order, the place of each row in it, from 1; 0 for rows that it leaves out. */
  private readonly ranks = new WeakMap<Uint32Array, Uint32Array>();

  constructor(
    readonly width: number,
    readonly height: number,
  ) {
    this.pixels = new Uint32Array(width * height);
  }

  /** Shows points as discs of a radius; whether any pixel may have changed. `view` is in pixels of the picture. */
  draw(layers: Layer[], grid: Grid, view: View, radius: number, background: number): boolean {
    const [x, y] = [this.width / 2 - view.x * view.scale, this.height / 2 + view.y * view.scale];
    const next: Drawn = { layers, background, radius, scale: view.scale, x, y };
    const before = this.drawn;
    if (before && isOnlyMoved(before, next)) {
      // by whole pixels, so that the picture is off by half a pixel at most
      const [dx, dy] = [Math.round(x - before.x), Math.round(y - before.y)];
      if (!dx && !dy) return false;
      const border = 2 * reachOf(radius) + 2;
      if (Math.abs(dx) + border < this.width / 2 && Math.abs(dy) + border < this.height / 2) {
        this.drawn = { ...next, x: before.x + dx, y: before.y + dy };
        this.move(dx, dy, border, grid);
        return true;
      }
    }
    this.drawn = next;
    const shape = disc(radius, this.width);
    layers.forEach((one, n) => drawPoints(this.pixels, this.width, this.height, one.points, one.palette, view, shape, n ? null : background));
    return true;
  }

  private move(dx: number, dy: number, border: number, grid: Grid): void {
    const { width, height, pixels } = this;
    const by = dy * width + dx; // what wraps from one line to the next lies in the strips
    if (by > 0) pixels.copyWithin(by, 0, pixels.length - by);
    else pixels.copyWithin(0, -by);
    // discs that the edge cut, or left out, lie within the border beside what comes into view
    if (dx > 0) this.strip(0, 0, dx + border, height, grid);
    if (dx < 0) this.strip(width + dx - border, 0, width, height, grid);
    if (dy > 0) this.strip(0, 0, width, dy + border, grid);
    if (dy < 0) this.strip(0, height + dy - border, width, height, grid);
  }

  /** Draws a part of the picture anew, with the discs that reach into it from outside. */
  private strip(left: number, top: number, right: number, bottom: number, grid: Grid): void {
    const { layers, background, radius, scale, x, y } = this.drawn!;
    const reach = reachOf(radius);
    const room = 2 * reach + 2;
    const [width, height] = [right - left + 2 * room, bottom - top + 2 * room];
    const rows: number[] = [];
    const far = reach + 1;
    grid.inBox((left - far - x) / scale, (y - bottom - far) / scale, (right + far - x) / scale, (y - top + far) / scale, (row) => rows.push(row));
    const buffer = new Uint32Array(width * height);
    const view = { x: (width / 2 - x + left - room) / scale, y: (y - top + room - height / 2) / scale, scale };
    const shape = disc(radius, width);
    layers.forEach(({ points, palette }, n) => {
      const ranks = this.ranksOf(points);
      const order = Uint32Array.from(rows.filter((row) => ranks[row])).sort((a, b) => ranks[a]! - ranks[b]!);
      drawPoints(buffer, width, height, { ...points, order }, palette, view, shape, n ? null : background);
    });
    for (let line = top; line < bottom; line++) {
      const start = (line - top + room) * width + room;
      this.pixels.set(buffer.subarray(start, start + right - left), line * this.width + left);
    }
  }

  private ranksOf({ order, xs }: Points): Uint32Array {
    let found = this.ranks.get(order);
    if (!found) {
      found = new Uint32Array(xs.length);
      for (let n = 0; n < order.length; n++) found[order[n]!] = n + 1;
      this.ranks.set(order, found);
    }
    return found;
  }
}

function isOnlyMoved(one: Drawn, other: Drawn): boolean {
  return (
    one.layers.length === other.layers.length &&
    one.layers.every(({ points, palette }, n) => points === other.layers[n]!.points && palette === other.layers[n]!.palette) &&
    one.background === other.background &&
    one.radius === other.radius &&
    one.scale === other.scale
  );
}

function reachOf(radius: number): number {
  return Math.ceil(radius + 0.5);
}
