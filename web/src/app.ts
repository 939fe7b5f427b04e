// The page: what is shown, and what each gesture does.

import * as api from "./api";
import type { Colors, PointInfo, Space, Task } from "./api";
import { bytes, DARK, LIGHT, packed, paletteOf, type Theme } from "./color";
import { button, el, name } from "./dom";
import { shown } from "./foreign";
import { legendOf } from "./legend";
import { SpaceMap, type MapEvents, type Mark, type Mode, type Picked } from "./map/spacemap";
import type { Spot } from "./map/view";
import { compareWith, personParts, setParts, tasteParts, walkParts, whyParts } from "./pages";
import { message, Panel } from "./panel";
import { emptyPoint, expressionPoint, itemPoint, madePoint, type Items, type PointRef } from "./point";
import { PointPage } from "./pointpage";
import { hashOf, readHash, type Shown } from "./state";
import { TopBar } from "./topbar";
import { quoted, sampled } from "./words";

const STEPS = 7;
const FINGERS = matchMedia("(pointer: coarse)");

/** A space with its map and what of it has come so far. */
interface World {
  space: Space;
  map: SpaceMap;
  items: Items | null;
  tasks: Task[];
  host: HTMLElement;
}

export class App {
  private readonly maps = el("main", { class: "maps" });
  private readonly live = el("div", { class: "hidden", attrs: { "aria-live": "polite", role: "status" } });
  private readonly note = el("p", { class: "note", attrs: { role: "status", hidden: true } });
  private readonly beginning = beginning();
  private readonly legend = el("div", { class: "legend", attrs: { hidden: true } });
  private readonly panel = new Panel(() => this.closed());
  private readonly top: TopBar;
  private readonly helper = help();
  private all: Space[] = [];
  private world!: World;
  private second: World | null = null;
  private selected: PointRef | null = null;
  private page: PointPage | null = null;
  private color = "";
  private colored: Colors | null = null;
  private theme: Theme = LIGHT;
  private latest = 0;
  private hashTimer = 0;

  constructor(root: HTMLElement) {
    this.top = new TopBar({
      space: (space) => void this.openSpace(space),
      beside: (space) => void this.openBeside(space),
      item: (row) => this.openRow(row),
      expression: (text) => void this.openExpression(text),
      color: (source, name) => void this.colorBy(source, name),
      mode: (mode) => this.setMode(mode),
      person: () => void this.openPerson(),
      theme: () => this.setTheme(this.theme.isDark ? LIGHT : DARK),
      help: () => this.helper.showModal(),
    });
    const zoom = el(
      "div",
      { class: "zoom", attrs: { role: "group", "aria-label": "Zoom" } },
      button("+", () => this.world.map.zoom(1.5), { attrs: { "aria-label": "Closer" } }),
      button("−", () => this.world.map.zoom(1 / 1.5), { attrs: { "aria-label": "Farther" } }),
      button("⤢", () => this.world.map.reset(), { attrs: { "aria-label": "The whole map" } }),
    );
    root.replaceChildren(this.top.element, this.maps, this.panel.element, this.legend, zoom, this.beginning, this.note, this.live, this.helper);
    const dark = matchMedia("(prefers-color-scheme: dark)");
    this.theme = dark.matches ? DARK : LIGHT;
    dark.addEventListener("change", () => this.setTheme(dark.matches ? DARK : LIGHT));
    document.addEventListener("keydown", (event) => this.pressed(event));
    addEventListener("hashchange", () => {
      if (location.hash !== hashOf(this.shown())) void this.follow(readHash(location.hash));
    });
  }

  async start(): Promise<void> {
    this.all = await api.spaces();
    if (!this.all.length) throw new Error("the server has no space to show");
    await this.follow(readHash(location.hash));
  }

  // --- spaces ---

  private async follow(shown: Shown): Promise<void> {
    const find = (model: string, name: string): Space | undefined => this.all.find((one) => (!model || one.model === model) && one.name === name);
    const space = find(shown.model, shown.space) ?? this.all[0]!;
    if (!this.world || this.world.space !== space) await this.openSpace(space, shown);
    const [source, ...rest] = shown.color.split(":");
    if (source && shown.color !== this.color) await this.colorBy(source, rest.join(":"));
    const [model, ...name] = shown.beside.split("/");
    const beside = shown.beside ? find(model ?? "", name.join("/")) : undefined;
    if (beside) await this.openBeside(beside);
    const [x, y, scale] = shown.view.split(",").map(Number);
    if (shown.view && [x, y, scale].every(Number.isFinite)) this.world.map.look({ x: x!, y: y!, scale: scale! });
    if (shown.at) await this.openLink(shown.at, shown.questions);
  }

  private async openLink(at: string, questions: string[]): Promise<void> {
    const [kind, rest] = [at.slice(0, at.indexOf(":")), at.slice(at.indexOf(":") + 1)];
    if (this.selected?.link === at) return;
    if (kind === "item") {
      const row = this.world.items?.rowOf.get(rest);
      if (row === undefined) return this.say(`The space has no item with the id ${rest}.`, true);
      await this.open(this.itemAt(row));
    } else if (kind === "place") {
      const [x, y] = rest.split(",").map(Number);
      if (Number.isFinite(x) && Number.isFinite(y)) await this.openEmpty({ x: x!, y: y! });
    } else if (kind === "expr") await this.openExpression(rest);
    if (!this.page?.asking.hasTurns) for (const question of questions.slice(0, 8)) await this.page?.asking.ask(question);
  }

  private makeWorld(space: Space): World {
    const host = el("div", { class: "map-host" }, this.all.length > 1 ? el("p", { class: "map-name" }, space.name) : "");
    this.maps.append(host);
    const world: World = { space, host, items: null, tasks: [], map: null as unknown as SpaceMap };
    world.map = new SpaceMap(host, this.events(world), `Map of ${space.name}`);
    this.dress(world.map);
    return world;
  }

  private async openSpace(space: Space, shown: Shown | null = null): Promise<void> {
    this.panel.close();
    this.second = null;
    this.maps.replaceChildren();
    this.colored = null;
    this.color = "";
    this.legend.hidden = true;
    this.world = this.makeWorld(space);
    this.top.setSpaces(this.all, space, null);
    await this.fill(this.world);
    const { sources } = await api.colorSources(space);
    this.top.setColors(sources, "");
    const first = sources["regions"]?.length ? ["regions", "regions"] : ["column", sources["column"]?.[0] ?? ""];
    if (!shown?.color && first[1]) await this.colorBy(first[0]!, first[1]);
    this.remember();
    if (space.caution) this.say(space.caution, true);
  }

  private async fill(world: World): Promise<void> {
    const { space, map } = world;
    const numbers = await api.coordinates(space, (why) => this.say(why));
    this.say("");
    const count = numbers.length / 2;
    const [xs, ys] = [new Float32Array(count), new Float32Array(count)];
    for (let row = 0; row < count; row++) [xs[row], ys[row]] = [numbers[2 * row]!, numbers[2 * row + 1]!];
    map.setPoints(xs, ys);
    this.dress(map);
    performance.mark("points");
    const [names, labels, tasks] = await Promise.all([api.mapLabels(space), api.labels(space), api.tasks(space).catch(() => ({ tasks: [] }))]);
    map.setNames(names.levels);
    map.setLabels(labels.labels);
    world.items = { ...labels, rowOf: new Map(labels.ids.map((id, row) => [id, row])) };
    world.tasks = tasks.tasks;
    if (world === this.world) this.top.setItems(world.items);
  }

  private async openBeside(space: Space | null): Promise<void> {
    if (this.second) this.second.host.remove();
    this.second = null;
    document.body.classList.toggle("two", Boolean(space));
    this.top.setSpaces(this.all, this.world.space, space);
    this.remember();
    if (!space) {
      this.panel.close();
      return this.world.map.refit();
    }
    const second = (this.second = this.makeWorld(space));
    await this.fill(second);
    this.paintSecond();
    void this.panel.work("two spaces", [name(this.world.space.name), " and ", name(space.name)], "Holding the two against each other …", () =>
      compareWith(this.world.space, space, (id) => this.openId(id)),
    );
    for (const one of [this.world, second]) one.map.refit();
  }

  // --- points ---

  private events(world: World): MapEvents {
    return {
      pick: (picked) => void this.pick(world, picked),
      walk: (from, to) => void this.walk(this.refOf(from), this.refOf(to)),
      pair: (first, second) => void this.why(this.itemAt(first), this.itemAt(second)),
      lasso: (rows) => void this.describe(rows),
      region: (level, name) => this.region(world, level, name),
      hover: (row) => this.twin(world, row),
      say: (text) => this.say(text),
      hear: (text) => (this.live.textContent = shown(text)),
      moved: () => this.remember(),
    };
  }

  private region(world: World, level: number, region: { number: number; name: string; x: number; y: number }): void {
    const { map } = world;
    const isLast = level === map.level && level === 2;
    if (!isLast && world === this.world) return map.fly({ x: region.x, y: region.y, scale: map.view.scale * 2 });
    void this.panel.work(
      "region",
      [region.name],
      "Reading what its items share …",
      async () => setParts(await api.describeRegion(world.space, region.number), (id) => this.openId(id), (word) => this.glow(word)),
    );
  }

  private async pick(world: World, picked: Picked): Promise<void> {
    if (world !== this.world) {
      const row = this.twinRow(world, picked.row, this.world);
      return row < 0 ? this.say("The other space has no such item.") : this.openRow(row);
    }
    if (picked.row >= 0) this.openRow(picked.row);
    else await this.openEmpty(picked);
  }

  private itemAt(row: number): PointRef {
    const items = this.world.items ?? { ids: [], labels: [], rowOf: new Map() };
    return itemPoint(items, row, this.world.map.at(row));
  }

  private openRow(row: number): void {
    if (this.world.items) void this.open(this.itemAt(row));
  }

  private openId(id: string): void {
    const row = this.world.items?.rowOf.get(id);
    if (row !== undefined) this.openRow(row);
  }

  private async openEmpty(spot: Spot): Promise<void> {
    this.world.map.show([{ ...spot, kind: "selected" }]);
    const ticket = ++this.latest;
    await this.panel.work("empty place", ["A place between items"], "Making a vector of what is around …", async () => {
      const point = await emptyPoint(this.world.space, { x: spot.x, y: spot.y });
      return ticket === this.latest ? this.pageOf(point, point.info!) : [];
    }, () => this.page?.asking.stop());
    this.remember();
  }

  private async openExpression(text: string): Promise<void> {
    const ticket = ++this.latest;
    const [about, title] = text.startsWith("text: ") ? ["a text, by its own vector", text.slice("text: ".length)] : ["expression", text];
    await this.panel.work(about, [title], "Working it out …", async () => {
      const info = await api.point(this.world.space, { expression: text });
      const point = expressionPoint(title, about, text, info);
      if (point.spot) this.world.map.reveal(point.spot);
      return ticket === this.latest ? this.pageOf(point, info) : [];
    }, () => this.page?.asking.stop());
    this.remember();
  }

  private async open(point: PointRef): Promise<void> {
    const ticket = ++this.latest;
    this.selected = point;
    this.world.map.show(point.spot ? [{ ...point.spot, kind: "selected" }] : []);
    await this.panel.work(
      point.about,
      [point.title],
      "Reading its vector …",
      async () => {
        const info = point.info ?? (await api.point(this.world.space, point.place));
        return ticket === this.latest ? this.pageOf(point, info) : [];
      },
      () => this.page?.asking.stop(),
    );
    if (point.spot && ticket === this.latest) this.world.map.reveal(point.spot);
    this.remember();
  }

  private pageOf(point: PointRef, info: PointInfo): ReturnType<PointPage["parts"]> {
    this.selected = point;
    const { space, tasks } = this.world;
    this.page = new PointPage(space, point, info, tasks, {
      openItem: (id) => this.openId(id),
      glow: (word) => this.glow(word),
      other: () => this.another(point),
      link: () => this.link(),
      changed: () => this.remember(),
      start: (mode, from) => this.begin(mode, from),
      marks: (of, told, more) => this.mark(of, told, more),
      copyLink: () => void this.copyLink(),
    });
    return this.page.parts();
  }

  private mark(point: PointRef, info: PointInfo, more: Mark[] = []): void {
    const near: Mark[] = info.nearest.flatMap((one) => {
      const row = this.world.items?.rowOf.get(one.id);
      return row === undefined ? [] : [{ kind: "near" as const, ...this.world.map.at(row) }];
    });
    const here: Mark[] = point.spot ? [{ kind: "selected", ...point.spot }] : [];
    const path = more.filter((one) => one.kind === "ghost");
    this.world.map.show([...near, ...(more.length ? more : here)], path);
    this.markSecond(point, info);
  }

  /** In the second space: where the item is, and where the items went that are near it in the first. */
  private markSecond(point: PointRef, info: PointInfo): void {
    if (!this.second) return;
    const { map, items } = this.second;
    const of = (id: string | undefined, kind: Mark["kind"]): Mark[] => {
      const row = id === undefined ? undefined : items?.rowOf.get(id);
      return row === undefined ? [] : [{ kind, ...map.at(row) }];
    };
    map.show([...info.nearest.flatMap((one) => of(one.id, "near")), ...of(this.world.items?.ids[point.row], "selected")]);
  }

  /** An item far from a point, to ask the same of its vector; the same one each time. */
  private another(point: PointRef): PointRef | null {
    const count = this.world.map.count;
    if (!this.world.items || count < 2) return null;
    let hash = 7;
    for (const letter of point.key) hash = (hash * 31 + letter.charCodeAt(0)) >>> 0;
    const near = new Set(point.info?.nearest.map((one) => one.id));
    for (let n = 0; n < count; n++) {
      const row = (hash + n * 7919) % count;
      if (row !== point.row && !near.has(this.world.items.ids[row]!)) return this.itemAt(row);
    }
    return null;
  }

  // --- two points, sets, people ---

  private refOf(picked: Picked): PointRef {
    if (picked.row >= 0) return this.itemAt(picked.row);
    const spot = { x: picked.x, y: picked.y };
    return { key: `place:${spot.x},${spot.y}`, title: "an empty place", about: "place", place: {}, row: -1, spot, info: null, link: "" };
  }

  private begin(mode: "walk" | "why", from: PointRef): void {
    this.setMode(mode);
    this.from = from;
    this.world.map.begin(from.row, from.spot ?? { x: 0, y: 0 });
    this.say(mode === "walk" ? "Pick where to walk to." : "Pick the other item.");
  }

  /** The point that a walk or a reason was begun from in the panel; it need not be a place of the map. */
  private from: PointRef | null = null;

  private async placed(point: PointRef): Promise<PointRef> {
    return point.place.expression || point.place.vector ? point : emptyPoint(this.world.space, point.spot!);
  }

  private async walk(from: PointRef, to: PointRef): Promise<void> {
    const start = this.from ?? from;
    this.setMode("look");
    await this.panel.work("walk", [name(start.title), " → ", name(to.title)], "Walking …", async () => {
      const [first, second] = [await this.placed(start), await this.placed(to)];
      const { steps } = await api.walk(this.world.space, first.place, second.place, STEPS);
      const spots = steps.map((one, n) => (n === 0 ? first.spot : n === steps.length - 1 ? second.spot : null) ?? (one.map ? { x: one.map[0], y: one.map[1] } : null));
      const marks: Mark[] = spots.flatMap((one, n) => (one ? [{ ...one, kind: "step" as const, text: n === 0 ? "A" : n === spots.length - 1 ? "B" : `${n}` }] : []));
      this.world.map.show(marks, marks);
      this.world.map.revealAll(marks);
      const open = (n: number): void => {
        if (n === 0) return void this.open(first);
        if (n === steps.length - 1) return void this.open(second);
        const point = madePoint(`${Math.round(100 * (steps[n]!.share ?? 0))}% from ${first.title} to ${second.title}`, "on a walk", steps[n]!);
        void this.open(point).then(() => this.world.map.show([...marks, ...(point.spot ? [{ ...point.spot, kind: "selected" as const }] : [])], marks));
      };
      return walkParts(steps, [first.title, second.title], open, (word) => this.glow(word));
    });
  }

  private async why(first: PointRef, second: PointRef): Promise<void> {
    this.setMode("look");
    const marks: Mark[] = [first, second].flatMap((one, n) => (one.spot ? [{ ...one.spot, kind: "selected" as const, text: n ? "B" : "A" }] : []));
    this.world.map.show(marks, marks);
    this.world.map.revealAll(marks);
    await this.panel.work("why are they near", [name(first.title), " and ", name(second.title)], "Looking for words that carry their score …", async () => whyParts(await api.why(this.world.space, first.place, second.place)));
  }

  private async describe(rows: number[]): Promise<void> {
    const { items, space, map } = this.world;
    if (!items) return;
    if (rows.length === map.count) {
      map.clearLoop();
      return this.say("These are all items, and nothing is left to hold them against: draw around some.");
    }
    this.say("");
    const some = sampled(rows.map((row) => items.ids[row]!));
    const leaving = new AbortController();
    await this.panel.work(
      "set",
      [`${rows.length.toLocaleString()} items`],
      "Reading what they share …",
      async () => {
        const found = await api.describeSet(space, some, false, leaving.signal);
        if (!leaving.signal.aborted) map.revealLoop();
        const middle = button("Ask about its middle", () => void this.openExpression(`mean(${some.map(quoted).join(", ")})`));
        return setParts(found, (id) => this.openId(id), (word) => this.glow(word), [
          some.length < rows.length && el("p", { class: "quiet" }, `Read from ${some.length.toLocaleString()} of them, evenly drawn.`),
          some.length > 1 && some.length <= 40 && middle,
        ]);
      },
      () => {
        leaving.abort();
        map.clearLoop();
      },
    );
  }

  private async openPerson(): Promise<void> {
    const space = this.world.space.num_users > 0 ? this.world.space : this.all.find((one) => one.num_users > 0)!;
    if (space !== this.world.space) await this.openSpace(space);
    const { items } = this.world;
    if (!items) return;
    this.panel.show("a person", ["Ratings"], personParts(items, 20, (expression) => void this.readPerson(expression)));
  }

  private async readPerson(expression: string): Promise<void> {
    const { space } = this.world;
    await this.panel.work("a person", ["What the ratings say"], "Folding the ratings in …", async () => {
      const place = { expression };
      const [found, info] = await Promise.all([api.tastes(space, place), api.point(space, place)]);
      const point = expressionPoint("This person", "a person", expression, info);
      return [...tasteParts(found), ...this.pageOf(point, info)];
    }, () => this.page?.asking.stop());
    this.remember();
  }

  // --- colours ---

  private glow(word: string): void {
    void this.colorBy("word", word);
  }

  private async colorBy(source: string, name: string): Promise<void> {
    const { space, map } = this.world;
    this.color = source ? `${source}:${name}` : "";
    this.top.showColor(this.color);
    this.colored = null;
    if (source) {
      try {
        this.say(source === "word" ? `Reading ${name} from every vector …` : "");
        this.colored = await api.colors(space, source, name);
        this.say("");
      } catch (error) {
        this.color = "";
        this.say(message(error), true);
      }
    }
    if (map === this.world.map) this.paint();
    this.remember();
  }

  private paint(): void {
    const { map } = this.world;
    const found = this.colored;
    const shades = found ? bytes(found.shades) : new Uint8Array(map.count);
    const palette = paletteOf(this.theme, found?.source ?? "", found?.names.length ?? 0);
    map.setColors(shades, palette, found?.source === "word");
    this.paintSecond();
    this.tellColors(found);
  }

  /** Every item of the second space in the colour that it has in the first, so that one sees where groups went. */
  private paintSecond(): void {
    if (!this.second) return;
    const { map, items } = this.second;
    const found = this.colored;
    const first = found ? bytes(found.shades) : null;
    const rows = items?.ids.map((id) => this.world.items?.rowOf.get(id) ?? -1) ?? [];
    const isTied = first !== null && rows.some((row) => row >= 0);
    const shades = new Uint8Array(map.count);
    if (isTied) rows.forEach((row, n) => (shades[n] = row < 0 ? 255 : first[row]!));
    const palette = isTied ? paletteOf(this.theme, found!.source, found!.names.length) : paletteOf(this.theme, "", 0);
    map.setColors(shades, palette, isTied && found!.source === "word");
  }

  private tellColors(found: Colors | null): void {
    this.legend.hidden = !found || found.source === "regions";
    if (found && !this.legend.hidden) this.legend.replaceChildren(...legendOf(found, this.theme, () => void this.colorBy("", "")));
  }

  private setTheme(theme: Theme): void {
    this.theme = theme;
    document.documentElement.dataset["theme"] = theme.isDark ? "dark" : "light";
    this.dress(this.world.map);
    this.paint();
    if (this.second) {
      this.dress(this.second.map);
      this.paintSecond();
    }
  }

  private dress(map: SpaceMap): void {
    document.documentElement.dataset["theme"] = this.theme.isDark ? "dark" : "light";
    const { ink, paper, accent, background } = this.theme;
    map.setTheme({ ink, paper, accent, background: packed(background) });
    if (!this.colored) map.setColors(new Uint8Array(map.count), paletteOf(this.theme, "", 0), false);
  }

  // --- two maps tied ---

  private twinRow(from: World, row: number, to: World): number {
    if (row < 0 || !from.items || !to.items) return -1;
    const byId = to.items.rowOf.get(from.items.ids[row]!);
    if (byId !== undefined) return byId;
    return to.items.labels.indexOf(from.items.labels[row]!);
  }

  private twin(world: World, row: number): void {
    if (!this.second) return;
    const other = world === this.world ? this.second : this.world;
    const found = this.twinRow(world, row, other);
    other.map.show(found < 0 ? [] : [{ kind: "twin", ...other.map.at(found), text: other.items?.labels[found] ?? "" }]);
  }

  // --- keys, modes, address ---

  private setMode(mode: Mode): void {
    this.from = null;
    this.beginning.hidden = true;
    this.world.map.setMode(mode);
    this.top.setMode(mode);
    document.body.dataset["mode"] = mode;
    const hints: Record<Mode, string> = {
      look: "",
      walk: "Drag from one point to another, or pick two.",
      why: "Pick two items, or drag from one to the other.",
      lasso: FINGERS.matches ? "Draw around items with one finger." : "Draw around items. By keys: move the cross, [ and ] set the circle, Enter.",
    };
    this.say(hints[mode]);
  }

  private pressed(event: KeyboardEvent): void {
    const target = event.target as HTMLElement;
    const types = target.matches("input, select, textarea");
    if (event.key === "Escape" && !this.helper.open) {
      if (this.world.map.mode !== "look") this.setMode("look");
      else if (types) target.blur();
      else this.panel.close();
      this.world.map.element.focus();
      return;
    }
    if (types || event.ctrlKey || event.metaKey || event.altKey || this.helper.open) return;
    const keys: Record<string, () => void> = {
      "/": () => this.top.focusSearch(),
      v: () => this.setMode("look"),
      w: () => this.setMode("walk"),
      y: () => this.setMode("why"),
      l: () => this.setMode("lasso"),
      m: () => this.world.map.element.focus(),
      q: () => this.page?.asking.focus(),
      "?": () => this.helper.showModal(),
    };
    const found = keys[event.key];
    if (!found) return;
    event.preventDefault();
    found();
  }

  private closed(): void {
    this.beginning.hidden = true;
    this.selected = null;
    this.page = null;
    this.latest++;
    this.world.map.show([]);
    this.world.map.clearLoop();
    this.remember();
  }

  private shown(): Shown {
    const { space, map } = this.world;
    const { x, y, scale } = map.view;
    return {
      model: space.model,
      space: space.name,
      view: [x, y].map((one) => one.toFixed(3)).join(",") + `,${scale.toFixed(1)}`,
      at: this.selected?.link ?? "",
      questions: this.page?.asking.questions ?? [],
      color: this.color,
      beside: this.second ? `${this.second.space.model}/${this.second.space.name}` : "",
    };
  }

  private remember(): void {
    clearTimeout(this.hashTimer);
    this.hashTimer = window.setTimeout(() => history.replaceState(null, "", hashOf(this.shown())), 200);
    document.title = `${shown(this.selected?.title ?? this.world.space.name)} · vecspeak`;
  }

  private link(): string {
    return `${location.origin}/${hashOf(this.shown())}`;
  }

  private async copyLink(): Promise<void> {
    history.replaceState(null, "", hashOf(this.shown()));
    try {
      await navigator.clipboard.writeText(this.link());
      this.say("The link is copied: it holds the point and its questions, which are asked again where it is opened.");
    } catch {
      this.say("The address of this page is the link; copy it from there.");
    }
  }

  private say(text: string, stays = false): void {
    const said = shown(text);
    this.live.textContent = this.note.textContent = said;
    this.note.hidden = !text;
    this.note.classList.toggle("doubt", stays);
    if (text && !text.endsWith("…")) setTimeout(() => this.note.textContent === said && (this.note.hidden = true), stays ? 12_000 : 5000);
  }
}

/** What a newcomer can do first; gone after the first page beside the map. */
function beginning(): HTMLElement {
  const [press, move] = FINGERS.matches ? ["Tap", "One finger moves the map, two zoom it."] : ["Click", "Drag to move, scroll to zoom, / to search."];
  return el(
    "p",
    { class: "beginning" },
    el("b", {}, `${press} a point`),
    " to read what its vector holds and to ask about it; an empty place, for a vector that no item has. ",
    move,
  );
}

function help(): HTMLDialogElement {
  const lines: [string, string][] = [
    ["Click an item", "its words, what is near, and questions about it"],
    ["Click empty space", "a point made of the items around; it says how far from the data it is"],
    ["w, then drag", "walk from one point to another"],
    ["y, then two items", "why they are near"],
    ["l, then draw", "what the items inside share"],
    ["Touch", "one finger moves, picks and draws; two zoom"],
    ["Click a name", "closer; on the last level what the region is"],
    ["Arrows, Enter", "move the cross on the map, and pick (m puts you on the map)"],
    ["Shift + arrows, + − 0", "move the map, zoom, all of it"],
    ["/  q  Esc", "search, ask, close"],
  ];
  const made = el("dialog", { class: "help", attrs: { "aria-label": "Keys and gestures" } });
  made.append(
    el("h2", {}, "Keys and gestures"),
    el("dl", {}, ...lines.flatMap(([key, what]) => [el("dt", {}, key), el("dd", {}, what)])),
    button("Close", () => made.close(), { class: "primary" }),
  );
  return made;
}
