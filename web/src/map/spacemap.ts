// A space on a plane: points, names of regions, and every gesture on them. It knows nothing of the server.

import type { PlacedName } from "../api";
import { el } from "../dom";
import { shortened, shown } from "../foreign";
import { Grid } from "./grid";
import { Picture, type Layer } from "./picture";
import { blended, byShade, type Points } from "./raster";
import { below, besides, fitted, toMap, toScreen, zoomed, type Spot, type View } from "./view";

export type Mode = "look" | "walk" | "why" | "lasso";

/** A place that was picked: an item by its row, or -1 and a place without one. */
export interface Picked extends Spot {
  row: number;
}

export interface MapEvents {
  pick(picked: Picked): void;
  walk(from: Picked, to: Picked): void;
  pair(first: number, second: number): void;
  lasso(rows: number[]): void;
  region(level: number, name: PlacedName): void;
  hover(row: number): void;
  /** What everybody must read. */
  say(text: string): void;
  /** What somebody who does not see the map must hear. */
  hear(text: string): void;
  moved(view: View): void;
}

export interface Mark extends Spot {
  kind: "selected" | "near" | "step" | "ghost" | "twin";
  text?: string;
}

/** How near to an item one has to be to pick it, in pixels: a finger covers more, and the cross moves by steps. */
const REACH = { mouse: 6, keys: 11, touch: 22 };
type By = keyof typeof REACH;
const STILL = matchMedia("(prefers-reduced-motion: reduce)");

export class SpaceMap {
  readonly element: HTMLElement;
  private readonly canvas = el("canvas", { class: "points", attrs: { "aria-hidden": "true" } });
  private readonly over = el("canvas", { class: "over", attrs: { "aria-hidden": "true" } });
  private readonly names = el("div", { class: "names" });
  private readonly tip = el("div", { class: "tip", attrs: { role: "presentation" } });
  private picture = new Picture(1, 1);
  private image: ImageData | null = null;
  private points: Points = none();
  private grid = new Grid(new Float32Array(0), new Float32Array(0));
  private labels: string[] = [];
  private levels: PlacedName[][] = [];
  private nameButtons: HTMLButtonElement[][] = [];
  /** Left, top, right and bottom of the names that are shown. */
  private nameBoxes: [number, number, number, number][] = [];
  /** Half the width and height of each name, once it was shown; another size of the window may change them. */
  private nameSizes = new WeakMap<HTMLElement, [number, number]>();
  private palette: Uint32Array = new Uint32Array(256).fill(0xff888888);
  private background = 0xffffffff;
  private ink = "#222";
  private paper = "#fff";
  private accent = "#3b5bdb";
  view: View = { x: 0, y: 0, scale: 100 };
  private home: View = { x: 0, y: 0, scale: 100 };
  private hovered = -1;
  private marks: Mark[] = [];
  private chosen: Uint32Array = new Uint32Array(0);
  private layers: Layer[] = [];
  private path: Spot[] = [];
  private polygon: Spot[] = [];
  /** The loop of the items whose page is shown. */
  private kept: Spot[] = [];
  private rubber: [Spot, Spot] | null = null;
  private cursor: Spot | null = null;
  private first: Picked | null = null;
  /** Radius of a point, in pixels of the element. */
  private dot = 2;
  /** Whether nothing is drawn above the points. */
  private isBare = false;
  private circle = 90;
  private seen: [number, number] = [0, 0];
  private due = 0;
  private flight = 0;
  mode: Mode = "look";
  /** Pixels at the top that lie under something else. */
  covered = 0;

  constructor(
    host: HTMLElement,
    private readonly events: MapEvents,
    name = "Map",
    wheel: "zooms" | "zooms when focused" = "zooms",
  ) {
    this.element = el(
      "div",
      { class: "map", attrs: { tabindex: 0, role: "application", "aria-label": `${name}. Arrow keys move the cross, Enter picks what is there, plus and minus zoom.` } },
      this.canvas,
      this.over,
      this.names,
      this.tip,
    );
    host.append(this.element);
    new ResizeObserver(() => this.resized()).observe(this.element);
    new Gestures(this.element, this, this.names, () => wheel === "zooms" || this.isFocused);
    this.element.addEventListener("keydown", (event) => this.pressed(event));
    this.element.addEventListener("blur", () => {
      this.cursor = null;
      this.draw();
    });
  }

  // --- what is shown ---

  setPoints(xs: Float32Array, ys: Float32Array): void {
    const order = new Uint32Array(xs.length).map((_, row) => row);
    this.points = { xs, ys, shades: new Uint8Array(xs.length), order };
    this.grid = new Grid(xs, ys);
    this.size();
    this.reset(false);
  }

  get count(): number {
    return this.points.xs.length;
  }

  at(row: number): Spot {
    return { x: this.points.xs[row]!, y: this.points.ys[row]! };
  }

  setLabels(labels: string[]): void {
    this.labels = labels;
    this.draw();
  }

  setNames(levels: PlacedName[][]): void {
    this.levels = levels.map((level) => [...level].filter((one) => one.name).sort((a, b) => b.num_items - a.num_items));
    this.names.replaceChildren();
    this.nameButtons = this.levels.map((level, number) =>
      level.map((one) => {
        const made = el(
          "button",
          { class: `name level${number}`, attrs: { type: "button", hidden: true, tabindex: -1 }, on: { click: (event: MouseEvent) => { if (event.detail === 0) this.events.region(number, one); } } },
          one.name,
        );
        this.names.append(made);
        return made;
      }),
    );
    this.draw();
  }

  setColors(shades: Uint8Array, palette: Uint32Array, glows: boolean): void {
    const order = glows ? byShade(shades) : new Uint32Array(shades.length).map((_, row) => row);
    this.points = { ...this.points, shades, order };
    this.palette = palette;
    this.layers = [];
    this.draw();
  }

  setTheme(theme: { background: number; ink: string; paper: string; accent: string }): void {
    Object.assign(this, theme);
    this.layers = [];
    this.draw();
  }

  /** Draws these rows above all others, which fade; none where there are none. */
  setChosen(rows: Uint32Array): void {
    this.chosen = rows;
    this.layers = [];
    this.draw();
  }

  show(marks: Mark[], path: Spot[] = []): void {
    this.marks = marks;
    this.path = path;
    this.draw();
  }

  setMode(mode: Mode): void {
    this.mode = mode;
    this.first = null;
    this.rubber = null;
    this.polygon = this.kept;
    this.element.dataset["mode"] = mode;
    this.draw();
  }

  // --- where it is looked at ---

  private get width(): number {
    return this.element.clientWidth;
  }
  private get height(): number {
    return this.element.clientHeight;
  }
  private get isFocused(): boolean {
    return (this.element.getRootNode() as Document | ShadowRoot).activeElement === this.element;
  }

  reset(flies = true): void {
    const isNarrow = this.width < 600;
    const height = this.height || 400;
    const covered = isNarrow ? Math.min(this.covered, height / 2) : 0; // elsewhere there is room enough below the bar
    this.home = below(covered, fitted(this.points.xs, this.points.ys, this.width || 600, height - covered, isNarrow ? 0.96 : 0.86));
    if (flies) this.fly(this.home);
    else this.look(this.home);
  }

  /** Shows all of it in the room that there is now. */
  refit(): void {
    this.fit();
    this.reset(false);
  }

  /** Takes the size that it has now, before the browser tells of it. */
  fit(): void {
    this.seen = [this.width, this.height];
    this.nameSizes = new WeakMap();
    this.size();
  }

  /** A scale no smaller and no larger than the map is looked at. */
  private within(scale: number): number {
    return Math.max(this.home.scale * 0.3, Math.min(this.home.scale * Math.max(30, Math.sqrt(this.count)), scale));
  }

  look(view: View): void {
    this.view = { ...view, scale: this.within(view.scale) };
    this.draw();
    this.events.moved(this.view);
  }

  fly(to: View): void {
    cancelAnimationFrame(this.flight);
    if (STILL.matches) return this.look(to);
    const [from, start] = [this.view, performance.now()];
    const step = (now: number): void => {
      const t = Math.min(1, (now - start) / 350);
      const ease = t * t * (3 - 2 * t);
      this.look({
        x: from.x + (to.x - from.x) * ease,
        y: from.y + (to.y - from.y) * ease,
        scale: from.scale * (to.scale / from.scale) ** ease,
      });
      if (t < 1) this.flight = requestAnimationFrame(step);
    };
    this.flight = requestAnimationFrame(step);
  }

  /** Brings a place into view, if it is not, by moving as little as need be. */
  reveal(spot: Spot): void {
    const at = toScreen(this.view, this.width, this.height, spot.x, spot.y);
    const free = this.height - this.covered;
    const room = Math.min(70, this.width / 4, free / 4);
    const within = (value: number, least: number, most: number): number => Math.max(least, Math.min(most, value));
    const to = { x: within(at.x, room, this.width - room), y: within(at.y, this.covered + room, this.height - room) };
    if (to.x === at.x && to.y === at.y) return;
    const { scale } = this.view;
    this.fly({ x: this.view.x + (at.x - to.x) / scale, y: this.view.y - (at.y - to.y) / scale, scale });
  }

  /** Brings several places into view, from farther away if need be. */
  revealAll(spots: Spot[]): void {
    const room = Math.min(70, this.width / 8, this.height / 8);
    const isSeen = (one: Spot): boolean => one.x >= room && one.x <= this.width - room && one.y >= this.covered + Math.min(room, 30) && one.y <= this.height - room;
    if (!spots.length || spots.every((one) => isSeen(this.screen(one)))) return;
    const of = (side: "x" | "y"): Float32Array => Float32Array.from(spots, (one) => one[side]);
    const whole = fitted(of("x"), of("y"), this.width, this.height - this.covered, 0.7);
    this.fly(below(this.covered, { ...whole, scale: Math.min(whole.scale, this.view.scale) }));
  }

  zoom(factor: number, at?: Spot): void {
    const place = at ?? { x: this.width / 2, y: this.height / 2 };
    // at its limit the map stays where it is
    const to = this.within(this.view.scale * factor) / this.view.scale;
    this.look(zoomed(this.view, this.width, this.height, place.x, place.y, to));
  }

  pan(dx: number, dy: number): void {
    this.look({ ...this.view, x: this.view.x - dx / this.view.scale, y: this.view.y + dy / this.view.scale });
  }

  // --- gestures, in pixels of the element ---

  picked(px: number, py: number, by: By = "mouse"): Picked {
    const spot = toMap(this.view, this.width, this.height, px, py);
    const row = this.grid.nearest(spot.x, spot.y, Math.max(REACH[by], this.dot + 1) / this.view.scale);
    return row < 0 ? { row, ...spot } : { row, ...this.at(row) };
  }

  hover(px: number, py: number): void {
    const { row } = this.picked(px, py);
    if (row !== this.hovered) {
      this.hovered = row;
      this.events.hover(row);
      this.draw();
    }
  }

  leave(): void {
    this.hovered = -1;
    this.draw();
  }

  tap(px: number, py: number, by: By = "mouse"): void {
    this.choose(this.picked(px, py, by));
  }

  private choose(found: Picked): void {
    if (this.mode === "look") return this.events.pick(found);
    if (this.mode === "lasso") return this.events.say("Press and draw around items; a click alone holds none.");
    if (this.mode === "why" && found.row < 0) return this.events.say("Pick an item: a reason is looked for between two items.");
    if (!this.first) {
      this.first = found;
      this.marks = [{ ...found, kind: "selected", text: "A" }];
      this.events.say(`${this.nameOf(found)} is the first. Pick the second.`);
      return this.draw();
    }
    const first = this.first;
    this.first = null;
    if (this.mode === "walk") this.events.walk(first, found);
    else this.events.pair(first.row, found.row);
  }

  /** Takes a point as the first of two that are picked. */
  begin(row: number, spot: Spot | null): void {
    this.first = { row, ...(spot ?? { x: 0, y: 0 }) };
    this.marks = spot ? [{ kind: "selected", ...spot, text: "A" }] : [];
    this.draw();
  }

  /** The first of two points, where the second is still to be picked. */
  get begun(): Picked | null {
    return this.first;
  }

  drag(from: Spot, to: Spot): void {
    this.rubber = [from, to];
    this.draw();
  }

  drop(from: Spot, to: Spot, by: By = "mouse"): void {
    this.rubber = null;
    const [first, second] = [this.picked(from.x, from.y, by), this.picked(to.x, to.y, by)];
    if (this.mode === "why") {
      if (first.row >= 0 && second.row >= 0) this.events.pair(first.row, second.row);
      else this.events.say("Drag from one item to another.");
    } else this.events.walk(first, second);
    this.draw();
  }

  loop(corners: Spot[]): void {
    this.polygon = corners.map((one) => toMap(this.view, this.width, this.height, one.x, one.y));
    this.draw();
  }

  close(): void {
    const rows = this.grid.inside(this.polygon);
    if (rows.length) this.events.lasso(rows);
    else {
      this.polygon = this.kept;
      this.events.say("No item lies inside.");
    }
    this.draw();
  }

  /** What is drawn around items. */
  get lasso(): Spot[] {
    return this.polygon;
  }

  /** Draws a loop for as long as the page of its items is shown. */
  keepLoop(loop: Spot[]): void {
    this.polygon = this.kept = loop;
    this.draw();
  }

  clearLoop(): void {
    this.polygon = this.kept = [];
    this.rubber = null;
    this.draw();
  }

  tapName(target: HTMLElement): boolean {
    for (const [level, buttons] of this.nameButtons.entries()) {
      const number = buttons.indexOf(target as HTMLButtonElement);
      if (number >= 0) {
        this.events.region(level, this.levels[level]![number]!);
        return true;
      }
    }
    return false;
  }

  private nameOf(found: Picked): string {
    return found.row < 0 ? "An empty place" : shortened(this.labels[found.row] ?? `item ${found.row + 1}`, 60);
  }

  private pressed(event: KeyboardEvent): void {
    if (event.target !== this.element || event.ctrlKey || event.metaKey || event.altKey) return;
    const steps: Record<string, [number, number]> = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const step = steps[event.key];
    if (step) {
      if (event.shiftKey) this.pan(-60 * step[0], -60 * step[1]);
      else this.hop(step[0] * 18, step[1] * 18);
    } else if (event.key === "Enter" || event.key === " ") {
      const at = this.cursor ?? { x: this.width / 2, y: this.height / 2 };
      if (this.mode === "lasso") this.round(at);
      else this.tap(at.x, at.y, "keys");
    } else if (event.key === "+" || event.key === "=") this.zoom(1.4, this.cursor ?? undefined);
    else if (event.key === "-") this.zoom(1 / 1.4, this.cursor ?? undefined);
    else if (event.key === "0") this.reset();
    else if (event.key === "[" || event.key === "]") {
      this.circle = Math.max(20, Math.min(400, this.circle * (event.key === "]" ? 1.25 : 0.8)));
      this.draw();
    } else return;
    event.preventDefault();
  }

  private hop(dx: number, dy: number): void {
    const at = this.cursor ?? { x: this.width / 2, y: this.height / 2 };
    const next = { x: at.x + dx, y: at.y + dy };
    const room = 30;
    const [over, under] = [Math.max(0, next.x - this.width + room), Math.min(0, next.x - room)];
    const [low, high] = [Math.max(0, next.y - this.height + room), Math.min(0, next.y - room)];
    if (over || under || low || high) this.pan(-(over + under), -(low + high));
    this.cursor = { x: next.x - over - under, y: next.y - low - high };
    const { row } = this.picked(this.cursor.x, this.cursor.y, "keys");
    if (row !== this.hovered) {
      this.hovered = row;
      this.events.hover(row);
      if (row >= 0) this.events.hear(this.labels[row] ?? "");
    }
    this.draw();
  }

  /** Closes a circle around the cross: the lasso of who has no pointer. */
  private round(at: Spot): void {
    const corners = Array.from({ length: 40 }, (_, n) => ({
      x: at.x + this.circle * Math.cos((n / 40) * 2 * Math.PI),
      y: at.y + this.circle * Math.sin((n / 40) * 2 * Math.PI),
    }));
    this.loop(corners);
    this.close();
  }

  // --- drawing ---

  private get ratio(): number {
    return Math.min(devicePixelRatio || 1, 2);
  }

  /** Fits another size; what was in the left upper corner stays there, so that a panel that opens moves nothing. */
  private resized(): void {
    if (!this.width || !this.height) return; // hidden for a while, as a notebook does with what is scrolled away
    const [width, height] = this.seen;
    this.seen = [this.width, this.height];
    this.nameSizes = new WeakMap();
    this.size();
    if (!width || !height) return this.reset(false);
    const { x, y, scale } = this.view;
    this.view = { x: x + (this.width - width) / 2 / scale, y: y - (this.height - height) / 2 / scale, scale };
    this.drawNow();
  }

  private size(): void {
    const [width, height] = [Math.max(1, Math.round(this.width * this.ratio)), Math.max(1, Math.round(this.height * this.ratio))];
    if (this.canvas.width === width && this.canvas.height === height && this.image) return;
    for (const canvas of [this.canvas, this.over]) {
      canvas.width = width; // empties it
      canvas.height = height;
    }
    this.picture = new Picture(width, height);
    this.image = new ImageData(new Uint8ClampedArray(this.picture.pixels.buffer), width, height);
  }

  draw(): void {
    if (this.due) return;
    this.due = requestAnimationFrame(() => {
      this.due = 0;
      this.drawNow();
    });
  }

  /** Draws at once; for measuring. */
  drawNow(): void {
    if (!this.image) this.size();
    this.drawPoints();
    this.placeNames();
    this.drawOver();
  }

  private drawPoints(): void {
    const closer = this.view.scale / this.home.scale;
    const room = Math.max(0.65, Math.min(2, Math.sqrt(this.width * this.height) / 1100));
    const base = room * (this.count > 60_000 ? 1.1 : this.count > 12_000 ? 1.6 : this.count > 1500 ? 2.3 : 3.2);
    const radius = Math.round(4 * base * Math.min(2.6, closer ** 0.3) * this.ratio) / 4;
    this.dot = radius / this.ratio;
    const view = { ...this.view, scale: this.view.scale * this.ratio };
    const layers = this.chosen.length ? this.chosenLayers() : [{ points: this.points, palette: this.palette }];
    const isNew = this.picture.draw(layers, this.grid, view, radius, this.background);
    if (isNew) this.canvas.getContext("2d", { alpha: false })?.putImageData(this.image!, 0, 0);
  }

  /** All points, faded, and the chosen ones above them. */
  private chosenLayers(): Layer[] {
    if (!this.layers.length) {
      const faded = this.palette.map((color) => blended(color, this.background, 0.22));
      this.layers = [{ points: this.points, palette: faded }, { points: { ...this.points, order: this.chosen }, palette: this.palette }];
    }
    return this.layers;
  }

  private screen(spot: Spot): Spot {
    return toScreen(this.view, this.width, this.height, spot.x, spot.y);
  }

  private drawOver(): void {
    const pen = this.over.getContext("2d");
    if (!pen) return;
    this.drawTip();
    const labelled = this.labelled();
    const cursor = this.isFocused ? this.cursor : null;
    const isBare = !labelled.length && !this.path.length && !this.polygon.length && !this.rubber && !this.marks.length && this.hovered < 0 && !cursor;
    if (isBare && this.isBare) return; // an empty picture over the points need not be sent to the screen again
    this.isBare = isBare;
    pen.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    pen.clearRect(0, 0, this.width, this.height);
    pen.lineJoin = "round";
    this.drawItemLabels(pen, labelled);
    this.drawLine(pen, this.path.map((one) => this.screen(one)), 2, false);
    if (this.polygon.length) this.drawLine(pen, this.polygon.map((one) => this.screen(one)), 2, true);
    if (this.rubber) this.drawLine(pen, this.rubber, 2, false);
    for (const mark of this.marks) this.drawMark(pen, mark);
    this.drawMarkTexts(pen);
    if (this.hovered >= 0) this.ring(pen, this.screen(this.at(this.hovered)), Math.max(6, this.dot + 3), this.ink, 1.5);
    if (cursor) this.drawCursor(pen, cursor);
  }

  private drawLine(pen: CanvasRenderingContext2D, corners: Spot[], width: number, closed: boolean): void {
    if (corners.length < 2) return;
    pen.beginPath();
    corners.forEach((one, n) => (n ? pen.lineTo(one.x, one.y) : pen.moveTo(one.x, one.y)));
    if (closed) {
      pen.closePath();
      pen.globalAlpha = 0.12;
      pen.fillStyle = this.accent;
      pen.fill();
      pen.globalAlpha = 1;
    }
    pen.strokeStyle = this.paper;
    pen.lineWidth = width + 3;
    pen.stroke();
    pen.strokeStyle = this.accent;
    pen.lineWidth = width;
    pen.stroke();
  }

  private ring(pen: CanvasRenderingContext2D, at: Spot, radius: number, color: string, width: number): void {
    pen.beginPath();
    pen.arc(at.x, at.y, radius, 0, 2 * Math.PI);
    pen.strokeStyle = this.paper;
    pen.lineWidth = width + 2.5;
    pen.stroke();
    pen.strokeStyle = color;
    pen.lineWidth = width;
    pen.stroke();
  }

  private drawMark(pen: CanvasRenderingContext2D, mark: Mark): void {
    const at = this.screen(mark);
    if (mark.kind === "near") return this.ring(pen, at, Math.max(4.5, this.dot + 2), this.ink, 1.2);
    if (mark.kind === "twin") return this.ring(pen, at, Math.max(7, this.dot + 3), this.accent, 2);
    if (mark.kind === "selected") this.ring(pen, at, Math.max(8, this.dot + 5), this.accent, 2.5);
    pen.beginPath();
    pen.arc(at.x, at.y, mark.kind === "step" ? 4.5 : 3.5, 0, 2 * Math.PI);
    pen.fillStyle = mark.kind === "ghost" ? this.paper : this.accent;
    pen.strokeStyle = mark.kind === "ghost" ? this.accent : this.paper;
    pen.lineWidth = 1.5;
    pen.fill();
    pen.stroke();
  }

  /** Texts of marks, the ends of a way first: each beside its mark, where none lies and the map does not end. */
  private drawMarkTexts(pen: CanvasRenderingContext2D): void {
    const font = "600 12px system-ui, sans-serif";
    pen.font = font;
    const told = this.marks.filter((one) => one.text && one.kind !== "near" && one.kind !== "twin");
    const texts = [...told.filter((one) => /^[AB]$/.test(one.text!)), ...told.filter((one) => !/^[AB]$/.test(one.text!))].map((one) => ({ ...this.screen(one), text: shown(shortened(one.text!, 40)) }));
    const sides = besides(texts.map((one) => ({ ...one, width: pen.measureText(one.text).width })), this.width);
    texts.forEach((one, n) => sides[n] !== null && this.write(pen, one.text, one.x + sides[n]!, one.y + 4, this.ink, font));
  }

  private write(pen: CanvasRenderingContext2D, text: string, x: number, y: number, color: string, font: string): void {
    const letters = shown(text);
    pen.font = font;
    pen.strokeStyle = this.paper;
    pen.lineWidth = 3.5;
    pen.strokeText(letters, x, y);
    pen.fillStyle = color;
    pen.fillText(letters, x, y);
  }

  private drawCursor(pen: CanvasRenderingContext2D, at: Spot): void {
    for (const [dx, dy] of [[1, 0], [0, 1]] as const) {
      this.drawLine(pen, [{ x: at.x - 9 * dx, y: at.y - 9 * dy }, { x: at.x + 9 * dx, y: at.y + 9 * dy }], 1.5, false);
    }
    if (this.mode === "lasso") this.ring(pen, at, this.circle, this.accent, 1.5);
  }

  /** Items whose labels are written: all that are in view, once they are few. */
  private labelled(): number[] {
    if (!this.labels.length) return [];
    const [a, b] = [toMap(this.view, this.width, this.height, 0, this.height), toMap(this.view, this.width, this.height, this.width, 0)];
    const rows: number[] = [];
    const most = 260;
    this.grid.inBox(a.x, a.y, b.x, b.y, (row) => rows.push(row) <= most);
    return rows.length > most ? [] : rows;
  }

  /** Labels of items, as many as have room. */
  private drawItemLabels(pen: CanvasRenderingContext2D, rows: number[]): void {
    const taken = [...this.nameBoxes];
    pen.font = "11px system-ui, sans-serif";
    for (const row of rows) {
      const at = this.screen(this.at(row));
      const text = shortened(this.labels[row]!, 30);
      const box: [number, number, number, number] = [at.x + 6, at.y - 7, at.x + 10 + text.length * 6, at.y + 8];
      if (taken.some((one) => one[0] < box[2] && one[2] > box[0] && one[1] < box[3] && one[3] > box[1])) continue;
      taken.push(box);
      this.write(pen, text, at.x + 8, at.y + 4, this.ink, "11px system-ui, sans-serif");
    }
  }

  private drawTip(): void {
    const label = this.hovered < 0 ? "" : this.labels[this.hovered];
    this.tip.hidden = !label;
    if (!label) return;
    const at = this.screen(this.at(this.hovered));
    this.tip.textContent = shown(shortened(label, 80));
    const right = at.x > this.width - 220;
    this.tip.style.transform = `translate(${at.x + (right ? -12 : 12)}px, ${at.y - 14}px)${right ? " translateX(-100%)" : ""}`;
  }

  /** Which of the levels of names fits how close one looks. */
  get level(): number {
    const closer = this.view.scale / this.home.scale;
    return Math.min(this.levels.length - 1, closer < 1.5 ? 0 : closer < 3 ? 1 : 2);
  }

  private nameSize(made: HTMLElement): [number, number] {
    let found = this.nameSizes.get(made);
    if (!found) {
      made.hidden = false;
      found = [made.offsetWidth / 2, made.offsetHeight / 2];
      if (found[0]) this.nameSizes.set(made, found);
    }
    return found;
  }

  private placeNames(): void {
    const current = this.level;
    const taken: [number, number, number, number][] = (this.nameBoxes = []);
    this.nameButtons.forEach((buttons, level) =>
      buttons.forEach((made, number) => {
        if (level !== current || this.view.scale / this.home.scale > 9) {
          made.hidden = true;
          return;
        }
        const one = this.levels[level]![number]!;
        const at = this.screen(one);
        const outside = at.x < 0 || at.x > this.width || at.y < 0 || at.y > this.height;
        if (outside) {
          made.hidden = true;
          return;
        }
        const [half, tall] = this.nameSize(made);
        // a name near the edge moves inwards, where all of it can be read
        at.x = Math.max(half, Math.min(this.width - half, at.x));
        at.y = Math.max(this.covered + tall, at.y);
        const box: [number, number, number, number] = [at.x - half, at.y - tall, at.x + half, at.y + tall];
        const hit = taken.some((other) => other[0] < box[2] && other[2] > box[0] && other[1] < box[3] && other[3] > box[1]);
        made.hidden = hit;
        if (made.hidden) return;
        taken.push(box);
        made.style.transform = `translate(${Math.round(at.x)}px, ${Math.round(at.y)}px) translate(-50%, -50%)`;
      }),
    );
  }
}

function none(): Points {
  return { xs: new Float32Array(0), ys: new Float32Array(0), shades: new Uint8Array(0), order: new Uint32Array(0) };
}

/** Whether a pointer is on a line of letters, and not on the room around it. */
function isOnLetters(of: Node, { clientX, clientY }: MouseEvent): boolean {
  const letters = document.createRange();
  letters.selectNodeContents(of);
  return [...letters.getClientRects()].some((one) => clientX >= one.left && clientX <= one.right && clientY >= one.top && clientY <= one.bottom);
}

/** Pointers and the wheel, told apart: a tap, a pan, a pinch, a drag from point to point, a loop. */
class Gestures {
  private readonly down = new Map<number, Spot>();
  private start: Spot = { x: 0, y: 0 };
  private isMoved = false;
  /** Two fingers are down, or were: what they do is zooming and moving, whatever one of them did before. */
  private isPinch = false;
  private loop: Spot[] = [];
  private target: EventTarget | null = null;

  constructor(
    private readonly element: HTMLElement,
    private readonly map: SpaceMap,
    private readonly names: HTMLElement,
    zooms: () => boolean,
  ) {
    element.addEventListener("pointerdown", (event) => this.pressed(event));
    element.addEventListener("pointermove", (event) => this.moved(event));
    element.addEventListener("pointerup", (event) => this.released(event));
    element.addEventListener("pointercancel", (event) => {
      this.down.delete(event.pointerId);
      this.map.clearLoop();
    });
    element.addEventListener("pointerleave", () => this.map.leave());
    element.addEventListener(
      "wheel",
      (event) => {
        if (!zooms()) return;
        event.preventDefault();
        this.map.zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0016)), this.at(event));
      },
      { passive: false },
    );
  }

  private at(event: MouseEvent): Spot {
    const box = this.element.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }

  private pressed(event: PointerEvent): void {
    if (event.button !== 0) return;
    this.element.setPointerCapture(event.pointerId);
    this.element.focus({ preventScroll: true });
    this.down.set(event.pointerId, this.at(event));
    this.start = this.at(event);
    this.isPinch = this.down.size > 1;
    if (this.isPinch && this.isMoved && this.map.mode !== "look") this.map.clearLoop();
    this.isMoved = this.isPinch;
    this.loop = [this.start];
    this.target = event.target;
  }

  private moved(event: PointerEvent): void {
    const at = this.at(event);
    const before = this.down.get(event.pointerId);
    if (!before) {
      if (event.pointerType !== "touch" && !this.down.size) this.map.hover(at.x, at.y);
      return;
    }
    const still = event.pointerType === "touch" ? 10 : 4;
    if (!this.isMoved && Math.hypot(at.x - this.start.x, at.y - this.start.y) > still) {
      this.isMoved = true;
      this.map.leave();
    }
    if (this.down.size === 2) this.pinched(event.pointerId, before, at);
    else if (this.isPinch) this.map.pan(at.x - before.x, at.y - before.y);
    else if (this.isMoved && (this.map.mode === "walk" || this.map.mode === "why")) this.map.drag(this.start, at);
    else if (this.isMoved && this.map.mode === "lasso") {
      this.loop.push(at);
      this.map.loop(this.loop);
    } else if (this.isMoved) this.map.pan(at.x - before.x, at.y - before.y);
    this.down.set(event.pointerId, at);
  }

  private pinched(moving: number, before: Spot, at: Spot): void {
    const other = [...this.down].find(([pointer]) => pointer !== moving)![1];
    const [was, is] = [Math.hypot(before.x - other.x, before.y - other.y), Math.hypot(at.x - other.x, at.y - other.y)];
    this.map.zoom(is / Math.max(was, 1), { x: (at.x + other.x) / 2, y: (at.y + other.y) / 2 });
    this.map.pan((at.x - before.x) / 2, (at.y - before.y) / 2);
  }

  private released(event: PointerEvent): void {
    if (!this.down.delete(event.pointerId) || this.down.size) return;
    if (this.isPinch) return;
    const at = this.at(event);
    const by = event.pointerType === "touch" ? "touch" : "mouse";
    if (!this.isMoved) {
      const isName = this.map.mode === "look" && this.names.contains(this.target as Node) && (by === "touch" || isOnLetters(this.target as Node, event));
      if (isName && this.map.tapName(this.target as HTMLElement)) return;
      this.map.tap(at.x, at.y, by);
    } else if (this.map.mode === "lasso") this.map.close();
    else if (this.map.mode !== "look") this.map.drop(this.start, at, by);
  }
}
