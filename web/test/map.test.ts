import { expect, test } from "vitest";
import { Grid, isInside } from "../src/map/grid";
import { Picture } from "../src/map/picture";
import { byShade, disc, drawPoints } from "../src/map/raster";
import { below, besides, farRow, fitted, toMap, toScreen, zoomed } from "../src/map/view";

function random(count: number): Float32Array {
  let state = 1;
  return Float32Array.from({ length: count }, () => (state = (state * 48271) % 2147483647) / 2147483647);
}

test("a proof asks an item far away, whatever the seed", () => {
  // half of the items are copies of the one that is asked about
  const at = (row: number) => ({ x: row % 2 ? 0 : 1, y: 0 });
  for (const count of [7919, 100]) {
    for (const seed of [0, 1, 12345]) expect(at(farRow(count, at, { x: 0, y: 0 }, seed, new Set([1]))).x).toBe(1);
  }
  expect(farRow(2, at, null, 1, new Set([0, 1]))).toBe(-1);
});

test("the grid finds what looking at all points finds", () => {
  const [xs, ys] = [random(2000), random(2000).reverse()];
  const grid = new Grid(xs, ys);
  for (const [x, y] of [[0.2, 0.3], [0.99, 0.01], [-0.1, 0.5]] as const) {
    let best = -1;
    let least = 0.2 ** 2;
    xs.forEach((_, row) => {
      const distance = (xs[row]! - x) ** 2 + (ys[row]! - y) ** 2;
      if (distance <= least) [least, best] = [distance, row];
    });
    expect(grid.nearest(x, y, 0.2)).toBe(best);
  }
  const corners = [{ x: 0.1, y: 0.1 }, { x: 0.8, y: 0.2 }, { x: 0.5, y: 0.9 }];
  const all = [...xs.keys()].filter((row) => isInside(corners, xs[row]!, ys[row]!));
  expect(grid.inside(corners).sort((a, b) => a - b)).toEqual(all);
});

test("an empty map and a single point have a grid too", () => {
  expect(new Grid(new Float32Array(0), new Float32Array(0)).nearest(0, 0, 1)).toBe(-1);
  expect(new Grid(Float32Array.of(2), Float32Array.of(3)).nearest(2, 3, 0.1)).toBe(0);
});

test("a place goes to the screen and back, and zooming holds what is under the pointer", () => {
  const view = { x: 1, y: -2, scale: 40 };
  const at = toScreen(view, 800, 600, 3, 4);
  const back = toMap(view, 800, 600, at.x, at.y);
  expect([back.x, back.y]).toEqual([3, 4]);
  const closer = toScreen(zoomed(view, 800, 600, at.x, at.y, 3), 800, 600, 3, 4);
  expect(closer.x).toBeCloseTo(at.x);
  expect(closer.y).toBeCloseTo(at.y);
});

test("a point is drawn where it lies, in its colour, and nowhere else", () => {
  const [width, height, white, red] = [40, 30, 0xffffffff, 0xff0000ff];
  const pixels = new Uint32Array(width * height);
  const points = { xs: Float32Array.of(0), ys: Float32Array.of(0), shades: Uint8Array.of(3), order: Uint32Array.of(0) };
  const palette = new Uint32Array(256);
  palette[3] = red;
  drawPoints(pixels, width, height, points, palette, { x: 0, y: 0, scale: 10 }, disc(2, width), white);
  expect(pixels[15 * width + 20]).toBe(red);
  const drawn = pixels.filter((one) => one !== white).length;
  expect(drawn).toBeGreaterThan(10);
  expect(drawn).toBeLessThan(32);
  expect([...pixels].every((one) => one >>> 24 === 0xff)).toBe(true);
});

test("a picture that was moved is the one that is drawn anew, but for discs that the edge cuts", () => {
  const [xs, ys] = [random(3000), random(3000).reverse()];
  const shades = Uint8Array.from(xs, (_, row) => row % 7);
  const points = { xs, ys, shades, order: byShade(shades) };
  const palette = Uint32Array.from({ length: 256 }, (_, n) => (0xff000000 | (n * 0x1f3b59)) >>> 0);
  const grid = new Grid(xs, ys);
  const above = { points: { ...points, order: Uint32Array.of(7, 2900, 40, 1500, 8, 9, 10) }, palette: palette.map((one) => one ^ 0x4080c0) };
  const layers = [{ points, palette }, above];
  const [width, height, radius] = [220, 160, 2.5];
  for (const [dx, dy] of [[5, 0], [-5, 0], [0, 7], [0, -7], [4, 9], [-3, -60], [40, -2]] as const) {
    const moved = new Picture(width, height);
    const view = { x: 0.5, y: 0.5, scale: 150 };
    moved.draw(layers, grid, view, radius, 0xffffffff);
    for (let step = 1; step <= 3; step++) {
      const next = { ...view, x: view.x - (step * dx) / 150, y: view.y + (step * dy) / 150 };
      expect(moved.draw(layers, grid, next, radius, 0xffffffff)).toBe(true);
      const anew = new Picture(width, height);
      anew.draw(layers, grid, next, radius, 0xffffffff);
      const inner: number[] = [];
      const edge = 2 * Math.ceil(radius) + 3;
      for (let y = edge; y < height - edge; y++) for (let x = edge; x < width - edge; x++) if (moved.pixels[y * width + x] !== anew.pixels[y * width + x]) inner.push(y * width + x);
      expect(inner).toEqual([]);
    }
  }
});

test("a picture that shows it already is not drawn again; other colours are", () => {
  const xs = random(50);
  const points = { xs, ys: xs, shades: new Uint8Array(50), order: Uint32Array.from(xs.keys()) };
  const [grid, palette, view] = [new Grid(xs, xs), new Uint32Array(256).fill(0xff112233), { x: 0.5, y: 0.5, scale: 50 }];
  const layers = [{ points, palette }];
  const made = new Picture(80, 60);
  expect(made.draw(layers, grid, view, 2, 0xffffffff)).toBe(true);
  expect(made.draw(layers, grid, { ...view, x: view.x + 0.001 }, 2, 0xffffffff)).toBe(false);
  expect(made.draw([{ points: { ...points }, palette }], grid, view, 2, 0xffffffff)).toBe(true);
  expect(made.draw([{ points, palette: palette.slice() }], grid, view, 2, 0xffffffff)).toBe(true);
});

test("what glows is drawn last, what has no value first", () => {
  expect([...byShade(Uint8Array.of(5, 255, 0, 254))]).toEqual([1, 2, 0, 3]);
});

test("the whole map fits", () => {
  const view = fitted(Float32Array.of(-3, 5), Float32Array.of(0, 1), 400, 400);
  expect(view.x).toBe(1);
  expect(toScreen(view, 400, 400, 5, 1).x).toBeLessThanOrEqual(400);
});

test("texts of marks lie neither on each other nor beyond the edge", () => {
  const at = (x: number, y = 50) => ({ x, y, width: 20 });
  expect(besides([at(50), at(52), at(54), at(54, 80)], 200)).toEqual([11, -31, null, 11]);
  expect(besides([at(190)], 200)).toEqual([-31]);
});

test("what is seen below a bar has its middle in the free part", () => {
  const view = below(80, { x: 1, y: 2, scale: 50 });
  expect(toScreen(view, 400, 300, 1, 2)).toEqual({ x: 200, y: 190 });
});
