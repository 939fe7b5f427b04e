// Frames a second while a map of many points is panned: ours on a 2-D canvas, and regl-scatterplot on WebGL.

import createScatterplot from "regl-scatterplot";
import { paletteOf, LIGHT, packed } from "../src/color";
import { SpaceMap } from "../src/map/spacemap";

declare global {
  interface Window {
    ours(count: number, seconds: number): Promise<Figures>;
    regl(count: number, seconds: number): Promise<Figures>;
  }
}
interface Figures {
  /** Moved, its size unchanged. */
  frames_per_second: number;
  /** Brought nearer and farther, so that every point is drawn in every frame. */
  zoomed_frames_per_second: number;
  draw_ms: number | null;
  first_draw_ms: number;
}

function clouds(count: number): [Float32Array, Float32Array, Uint8Array] {
  let state = 7;
  const random = (): number => (state = (state * 48271) % 2147483647) / 2147483647;
  const normal = (): number => Math.sqrt(-2 * Math.log(random() || 1e-9)) * Math.cos(2 * Math.PI * random());
  const [xs, ys, groups] = [new Float32Array(count), new Float32Array(count), new Uint8Array(count)];
  const middles = Array.from({ length: 30 }, () => [random() * 1.6 - 0.8, random() * 1.6 - 0.8]);
  for (let row = 0; row < count; row++) {
    const group = (groups[row] = row % 11);
    const middle = middles[row % 30]!;
    xs[row] = middle[0]! + 0.08 * normal() + 0 * group;
    ys[row] = middle[1]! + 0.08 * normal();
  }
  return [xs, ys, groups];
}

function host(): HTMLElement {
  document.body.replaceChildren();
  const made = document.createElement("div");
  Object.assign(made.style, { position: "fixed", inset: "0" });
  document.body.append(made);
  return made;
}

const frame = (): Promise<number> => new Promise((done) => requestAnimationFrame(done));

async function frames(seconds: number, step: (n: number) => unknown): Promise<number> {
  await frame();
  const start = performance.now();
  let count = 0;
  while (performance.now() - start < 1000 * seconds) {
    await step(count++);
    await frame();
  }
  return (1000 * count) / (performance.now() - start);
}

window.ours = async (count, seconds) => {
  const [xs, ys, groups] = clouds(count);
  const nothing = (): void => undefined;
  const events = { pick: nothing, walk: nothing, pair: nothing, lasso: nothing, region: nothing, hover: nothing, say: nothing, hear: nothing, moved: nothing };
  const map = new SpaceMap(host(), events);
  Object.assign(map.element.style, { position: "absolute", inset: "0" });
  for (const canvas of map.element.querySelectorAll("canvas")) Object.assign(canvas.style, { position: "absolute", width: "100%", height: "100%" });
  map.setTheme({ background: packed(LIGHT.background), ink: LIGHT.ink, paper: LIGHT.paper, accent: LIGHT.accent });
  const start = performance.now();
  map.setPoints(xs, ys);
  map.setColors(groups, paletteOf(LIGHT, "column", 11), false);
  map.drawNow();
  const first = performance.now() - start;
  let drawing = 0;
  let drawn = 0;
  const rate = await frames(seconds, (n) => {
    map.pan(4 * Math.cos(n / 9), 4 * Math.sin(n / 9));
    const before = performance.now();
    map.drawNow();
    drawing += performance.now() - before;
    drawn++;
  });
  const zoomed = await frames(seconds, (n) => {
    map.zoom(n % 40 < 20 ? 1.02 : 1 / 1.02);
    map.drawNow();
  });
  return { frames_per_second: rate, zoomed_frames_per_second: zoomed, draw_ms: drawing / drawn, first_draw_ms: first };
};

window.regl = async (count, seconds) => {
  const [xs, ys, groups] = clouds(count);
  const canvas = document.createElement("canvas");
  host().append(canvas);
  const [width, height] = [innerWidth, innerHeight];
  const start = performance.now();
  const plot = createScatterplot({ canvas, width, height, pointSize: 2, colorBy: "valueA", pointColor: Array.from({ length: 11 }, (_, n) => [n / 11, 0.5, 0.6, 1] as [number, number, number, number]) });
  await plot.draw({ x: xs, y: ys, valueA: groups.map((one) => one) });
  const first = performance.now() - start;
  let drawn = 0;
  plot.subscribe("draw", () => drawn++);
  const begun = performance.now();
  await frames(seconds, async (n) => {
    const [x, y] = [0.01 * Math.cos(n / 9), 0.01 * Math.sin(n / 9)];
    await plot.zoomToLocation([x, y], 1, { transition: false });
  });
  const rate = (1000 * drawn) / (performance.now() - begun);
  const [before, again] = [drawn, performance.now()];
  await frames(seconds, async (n) => {
    await plot.zoomToLocation([0, 0], 1 + 0.02 * (n % 40 < 20 ? n % 20 : 20 - (n % 20)), { transition: false });
  });
  const zoomed = (1000 * (drawn - before)) / (performance.now() - again);
  return { frames_per_second: rate, zoomed_frames_per_second: zoomed, draw_ms: null, first_draw_ms: first };
};
