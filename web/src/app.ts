// The page: what is shown, and what each gesture does.

import * as api from "./api";
import { Refused, type Colors, type Migration, type PointInfo, type Space, type Tasks } from "./api";
import { bytes, DARK, LIGHT, packed, paletteOf, type Theme } from "./color";
import { button, counted, el, name, names } from "./dom";
import { shortened, shown } from "./foreign";
import { firstColor, legendOf } from "./legend";
import { SpaceMap, type MapEvents, type Mark, type Mode, type Picked } from "./map/spacemap";
import { farRow, type Spot } from "./map/view";
import { compareWith, isComparable, isMatch, personParts, setParts, tasteParts, walkParts, whyParts, type Tie } from "./pages";
import { message, Panel } from "./panel";
import { called, distinct, emptyPoint, expressionPoint, isGlanced, itemPoint, madePoint, namingOf, tiedRows, type Items, type Naming, type PointRef } from "./point";
import { PointPage } from "./pointpage";
import { hashOf, pullOf, readHash, spaceNamed, type Pull, type Shown } from "./state";
import { TopBar } from "./topbar";
import { quoted, sampled, type Drawn } from "./words";

const STEPS = 7;
const UNTAUGHT: Tasks = { tasks: [], learned: false };
const NO_REGIONS = "Names of regions: “vecspeak atlas BUNDLE” makes them.";
const FINGERS = matchMedia("(pointer: coarse)");

/** A space with its map and what of it has come so far. */
interface World {
  space: Space;
  map: SpaceMap;
  items: Items | null;
  /** How its items are told apart by their names. */
  naming: Naming;
  /** Why its items could not be had; "" while nothing failed. */
  failure: string;
  tasks: Tasks;
  host: HTMLElement;
  /** Until all of it has come. */
  filled: Promise<void>;
}

/** A second space beside the first. */
interface Second extends World {
  legend: HTMLElement;
  /** Rows of the same items in the other space, both ways; -1 for none. */
  toFirst: Int32Array;
  ofFirst: Int32Array;
  tie: Tie;
  /** What moved from the first, once that was asked. */
  compared: Promise<Migration> | null;
  /** Its own colours, where it cannot have those of the first. */
  colored: Colors | null;
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
  private world: World;
  private second: Second | null = null;
  private selected: PointRef | null = null;
  private page: PointPage | null = null;
  private color = "";
  private colored: Colors | null = null;
  private theme: Theme = LIGHT;
  /** Counts what was opened: what comes for an earlier one is not shown. */
  private latest = 0;
  private latestColor = 0;
  private latestLink = 0;
  /** Links that are being followed: what they open is no step of its own. */
  private following = 0;
  /** The number of the point that was opened last. */
  private opening = 0;
  private hashTimer = 0;
  /** Ends with the page itself, when the key is asked for again. */
  private readonly gone = new AbortController();

  constructor(
    root: HTMLElement,
    private readonly all: Space[],
  ) {
    this.top = new TopBar({
      space: (space) => void this.openSpace(space),
      beside: (space) => void this.openBeside(space),
      item: (row) => this.foundRow(row),
      expression: (text) => void this.foundExpression(text),
      nothing: (text) => this.say(`Nothing is called “${shortened(text, 60)}”, and this space has no vectors for texts. Type letters of a label, an id, or an expression such as mid("A", "B").`, true),
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
    new ResizeObserver(() => this.cover()).observe(this.top.element);
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const { signal } = this.gone;
    this.theme = dark.matches ? DARK : LIGHT;
    dark.addEventListener("change", () => this.setTheme(dark.matches ? DARK : LIGHT), { signal });
    document.addEventListener("keydown", (event) => this.pressed(event), { signal });
    const moved = (): void => {
      if (location.hash !== hashOf(this.shown())) void this.follow(readHash(location.hash));
    };
    addEventListener("hashchange", moved, { signal });
    const link = readHash(location.hash);
    const named = spaceNamed(link.model, link.space, this.all, this.all[0]!);
    this.world = this.makeWorld(named ?? this.all[0]!);
    void this.begun(link, named);
  }

  /** Ends everything of this page; another takes its place. */
  leave(): void {
    this.gone.abort();
    clearTimeout(this.hashTimer);
    this.latest++;
    this.latestColor++;
    this.latestLink++;
    this.page?.leave();
  }

  private async begun(link: Shown, named: Space | null): Promise<void> {
    const { world } = this;
    await this.shownSpace(world, Boolean(named && link.color));
    const isUntouched = world === this.world && this.latest === 0 && this.latestLink === 0;
    if (isUntouched || !named) await this.follow(link); // what was opened by hand meanwhile stays
  }

  // --- spaces ---

  private async follow(shown: Shown): Promise<void> {
    const space = spaceNamed(shown.model, shown.space, this.all, this.world.space);
    if (!space) {
      const asked = [shown.model, shown.space].filter(Boolean).join(" / ");
      return this.say(`The link is of the space ${asked}, which this server has not. Nothing of it was opened.`, true);
    }
    this.following++;
    const page = await this.followTo(shown, space).finally(() => this.following--);
    if (!page || page.asking.hasTurns) return;
    for (const one of shown.questions.slice(0, 8)) if (page === this.page) await page.asking.ask(one.question, one.task, one.effort);
  }

  /** Opens what a link shows; gives the page of its point. */
  private async followTo(shown: Shown, space: Space): Promise<PointPage | null> {
    const number = ++this.latestLink;
    const isLatest = (): boolean => number === this.latestLink;
    if (this.world.space !== space) await this.openSpace(space, Boolean(shown.color));
    await this.world.filled;
    if (!isLatest()) return null;
    const [source, ...rest] = shown.color.split(":");
    if (source && shown.color !== this.color) await this.colorBy(source, rest.join(":"));
    if (!isLatest()) return null;
    const before = this.second;
    await this.followBeside(shown.beside);
    if (!isLatest()) return null;
    if (!shown.at) this.showNoPoint(before);
    const isOpen = this.selected?.link === shown.at;
    const opening = shown.at && !isOpen ? this.openPlace(shown.at) : this.page; // its panel is there at once
    this.lookAt(shown.view, Boolean(shown.at) && !isOpen);
    return shown.at ? opening : null;
  }

  /** Shows what a link without a point is of: what two spaces have in common, else the map alone. */
  private showNoPoint(before: Second | null): void {
    if (!this.second) return this.panel.close();
    if (this.second !== before) return; // one that was just opened has said it
    this.leavePoint();
    for (const { map } of [this.world, this.second]) map.show([]);
    this.showCompared(this.second);
    this.remember();
  }

  /** Looks where a link did, once the room is what it is with the panel; a point without a view is seen amid all of the map. */
  private lookAt(view: string, isOpened: boolean): void {
    const { map } = this.world;
    const [x, y, scale] = view.split(",").map(Number);
    map.fit();
    if (view && [x, y, scale].every(Number.isFinite)) map.look({ x: x!, y: y!, scale: scale! });
    else if (isOpened) map.reset(false);
  }

  private async followBeside(beside: string): Promise<void> {
    const now = this.second ? `${this.second.space.model}/${this.second.space.name}` : "";
    if (!beside || beside === now) return;
    const [model, ...name] = beside.split("/");
    const space = spaceNamed(model ?? "", name.join("/"), this.all, this.world.space);
    if (space && space !== this.world.space) await this.openBeside(space);
    else this.say(`The link shows ${beside} beside this space, which this server has not.`, true);
  }

  /** Opens the point that a link names; null where it came to nothing, or something else was opened meanwhile. */
  private async openPlace(at: string): Promise<PointPage | null> {
    const [kind, rest] = [at.slice(0, at.indexOf(":")), at.slice(at.indexOf(":") + 1)];
    if (kind === "expr") {
      const pull = pullOf(rest, this.world.space.concepts);
      return pull && this.world.items?.rowOf.has(pull.id) ? this.openPulled(pull) : this.openExpression(rest);
    }
    if (kind === "item") {
      const row = this.world.items?.rowOf.get(rest);
      if (row !== undefined) return this.open(this.itemAt(row));
      this.closePoint();
      this.say(await this.whyMissing(rest), true);
      return null;
    }
    const [x, y] = rest.split(",").map(Number);
    if (kind === "place" && Number.isFinite(x) && Number.isFinite(y)) return this.openEmpty({ x: x!, y: y! });
    this.closePoint();
    this.say(`The link names the point ${at}; it may be item:ID, place:X,Y or expr:EXPRESSION.`, true);
    return null;
  }

  /** Why there is no item of an id: it may be one of the space as it is now, which this page has not seen. */
  private async whyMissing(id: string): Promise<string> {
    const { failure, space } = this.world;
    if (failure) return failure;
    const refused = await api.ownText(space, id).then(() => null, (error: unknown) => error);
    const isKnown = refused instanceof Refused && (refused.status === 412 || refused.status === 0);
    return isKnown ? refused.message : `The space has no item with the id ${id}.`;
  }

  /** Keeps names of regions from under the bar. */
  private cover(): void {
    const { offsetTop, offsetHeight } = this.top.element;
    for (const one of [this.world, this.second]) if (one) one.map.covered = offsetTop + offsetHeight;
    this.world.map.draw();
  }

  private closePoint(): void {
    this.panel.close();
    this.leavePoint();
    this.remember();
  }

  private makeWorld(space: Space): World {
    const host = el("div", { class: "map-host" }, this.all.length > 1 ? el("p", { class: "map-name" }, space.name) : "");
    this.maps.append(host);
    const world: World = { space, host, items: null, naming: called, failure: "", tasks: UNTAUGHT, filled: Promise.resolve(), map: null as unknown as SpaceMap };
    world.map = new SpaceMap(host, this.events(world), `Map of ${space.name}`);
    world.map.covered = this.top.element.offsetTop + this.top.element.offsetHeight;
    this.dress(world.map);
    world.filled = this.fill(world).catch((error) => this.say((world.failure = message(error)), true));
    return world;
  }

  private async openSpace(space: Space, hasColor = false): Promise<void> {
    this.panel.close();
    this.setMode("look");
    this.closeSecond();
    this.maps.replaceChildren();
    this.colored = null;
    this.color = "";
    this.latestColor++;
    this.legend.hidden = true;
    this.top.setSearched(null); // what is typed now is of this space
    this.world = this.makeWorld(space);
    await this.shownSpace(this.world, hasColor);
  }

  private async shownSpace(world: World, hasColor: boolean): Promise<void> {
    const { space } = world;
    this.top.setSpaces(this.all, space, null);
    this.top.setColors({}, "");
    await world.filled;
    if (world !== this.world) return;
    try {
      const { sources } = await api.colorSources(space);
      if (world !== this.world) return;
      this.top.setColors(sources, this.color);
      const number = this.latestColor;
      const first = hasColor || this.color ? null : await firstColor(sources, (column) => api.colors(space, "column", column));
      if (first && world === this.world && number === this.latestColor) await this.colorBy(...first);
    } catch (error) {
      this.say(message(error), true);
    }
    if (world !== this.world) return;
    this.remember();
    if (space.caution) this.say(space.caution, true);
  }

  private async fill(world: World): Promise<void> {
    const { space, map } = world;
    const isThere = (): boolean => world.host.isConnected;
    const numbers = await api.coordinates(space, (why) => isThere() && this.say(why), isThere);
    if (!isThere()) return;
    this.say("");
    const count = numbers.length / 2;
    const [xs, ys] = [new Float32Array(count), new Float32Array(count)];
    for (let row = 0; row < count; row++) [xs[row], ys[row]] = [numbers[2 * row]!, numbers[2 * row + 1]!];
    map.setPoints(xs, ys);
    this.dress(map);
    performance.mark("points");
    const [names, labels, tasks] = await Promise.all([api.mapLabels(space), api.labels(space), api.tasks(space).catch(() => UNTAUGHT)]);
    const { ids } = labels;
    map.setNames(names.levels);
    map.setLabels(labels.labels.map((label, row) => called(label, ids[row]!)));
    world.items = { ids, labels: labels.labels, rowOf: new Map(ids.map((id, row) => [id, row])) };
    world.naming = namingOf(labels.labels);
    world.tasks = tasks;
    if (world === this.world) this.top.setSearched({ ids, labels: labels.labels, titles: distinct(world.items) });
  }

  private closeSecond(): void {
    this.second?.host.remove();
    this.second = null;
    document.body.classList.remove("two");
  }

  private async openBeside(space: Space | null): Promise<void> {
    const { world } = this;
    this.closeSecond();
    this.top.setSpaces(this.all, world.space, space);
    if (!space) {
      this.panel.close();
      this.remember();
      return world.map.refit();
    }
    document.body.classList.add("two");
    const second = (this.second = this.makeSecond(space));
    this.remember();
    await Promise.all([world.filled, second.filled]);
    if (second !== this.second) return;
    this.tieSecond(second);
    this.leavePoint();
    this.showCompared(second);
    for (const one of [world, second]) one.map.refit();
    this.remember();
    if (!this.takesColors(second)) void this.colorSecond(second);
  }

  /** Tells what the two spaces have in common. */
  private showCompared(second: Second): void {
    const { space, naming } = this.world;
    const read = (): Promise<Migration> => (second.compared ??= api.compare(space, second.space));
    void this.panel.work("two spaces", [name(space.name), " and ", name(second.space.name)], "Holding the two against each other …", () =>
      compareWith(space, second.space, second.tie, read, naming, (id) => this.openId(id)),
    );
    second.compared?.catch(() => (second.compared = null)); // what failed is tried again
  }

  private makeSecond(space: Space): Second {
    const none = new Int32Array(0);
    const legend = el("div", { class: "legend", attrs: { hidden: true } });
    const made: Second = Object.assign(this.makeWorld(space), { legend, toFirst: none, ofFirst: none, tie: { shared: 0, tied: 0 }, compared: null, colored: null });
    made.host.append(legend);
    return made;
  }

  private tieSecond(second: Second): void {
    const { items } = this.world;
    if (!items || !second.items) return;
    const has = second.items.rowOf;
    second.toFirst = tiedRows(second.items, items);
    second.ofFirst = tiedRows(items, second.items);
    second.tie = { shared: items.ids.filter((id) => has.has(id)).length, tied: second.ofFirst.filter((row) => row >= 0).length };
    this.paintSecond();
  }

  /** Whether a second space is shown in the colours of the first: where most of its items are in both, or what moved is told. */
  private takesColors({ tie, toFirst }: Second): boolean {
    return isComparable(tie) || 2 * toFirst.filter((row) => row >= 0).length >= Math.max(toFirst.length, 1);
  }

  /** Gives a second space colours of its own. */
  private async colorSecond(second: Second): Promise<void> {
    const { space } = second;
    try {
      const { sources } = await api.colorSources(space);
      const first = await firstColor(sources, (column) => api.colors(space, "column", column));
      if (first) second.colored = await api.colors(space, ...first);
      if (second === this.second) this.paintSecond();
    } catch (error) {
      this.say(message(error), true);
    }
  }

  // --- points ---

  private events(world: World): MapEvents {
    return {
      pick: (picked) => void this.pick(world, picked),
      walk: (from, to) => void this.walk(this.refOf(from), this.refOf(to)),
      pair: (first, second) => void this.why(this.from ?? this.itemAt(first), this.itemAt(second)),
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
    this.leavePoint();
    world.map.show([]);
    this.remember(true);
    void this.panel.work(
      "region",
      [region.name],
      "Reading what its items share …",
      async () => setParts(await api.describeRegion(world.space, region.number), this.setActions(world)),
    );
  }

  private setActions({ naming }: World): Parameters<typeof setParts>[1] {
    return { open: (id) => this.openId(id), glow: (word) => this.glow(word), naming };
  }

  private async pick(world: World, picked: Picked): Promise<void> {
    if (world !== this.world) {
      const row = this.twinRow(world, picked.row);
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

  /** Leaves the point that was looked at; what still comes of it is not shown. Gives the number of what is opened next. */
  private leavePoint(): number {
    this.page?.leave();
    this.selected = null;
    this.page = null;
    return ++this.latest;
  }

  /** Shows the page of a point once it is known; null where it came to nothing, or something else was opened meanwhile. */
  private async openPoint(about: string, title: string, said: string, make: () => Promise<[PointRef, PointInfo]>, first: PointRef | null = null): Promise<PointPage | null> {
    const number = (this.opening = this.leavePoint());
    this.selected = first;
    if (first) this.remember(true);
    else this.entitle();
    await this.panel.work(
      about,
      [title],
      said,
      async () => {
        const [point, info] = await make();
        if (number !== this.latest) return [];
        this.panel.entitle(point.about, [point.title]);
        return this.pageOf(point, info);
      },
      () => this.page?.leave(),
    );
    if (number !== this.latest) return null;
    if (!this.page) this.selected = null;
    this.remember(true);
    return this.page;
  }

  /** Opens an item with the slider where it was; null where it could not be pulled there. */
  private async openPulled(pull: Pull): Promise<PointPage | null> {
    const page = await this.open(this.itemAt(this.world.items!.rowOf.get(pull.id)!));
    if (!page || !(await page.pull(pull)) || page !== this.page) return null;
    if (page.spot) this.world.map.reveal(page.spot);
    return page;
  }

  private async openEmpty(spot: Spot): Promise<PointPage | null> {
    this.world.map.show([{ ...spot, kind: "selected" }]);
    return this.openPoint("empty place", "A place between items", "Making a vector of what is around …", async () => {
      const point = await emptyPoint(this.world.space, { x: spot.x, y: spot.y });
      return [point, point.info!];
    });
  }

  private async openExpression(text: string): Promise<PointPage | null> {
    const [about, title] = namedExpression(text);
    const page = await this.openPoint(about, title, "Working it out …", async () => {
      const info = await api.point(this.world.space, { expression: text });
      return [expressionPoint(title, about, text, info), info];
    });
    if (page && this.selected?.spot) this.world.map.reveal(this.selected.spot);
    return page;
  }

  private async open(point: PointRef): Promise<PointPage | null> {
    const { map, space } = this.world;
    map.show(point.spot ? [{ ...point.spot, kind: "selected" }] : []);
    const page = await this.openPoint(point.about, point.title, "Reading its vector …", async () => [point, point.info ?? (await api.point(space, point.place))], point);
    if (page && point.spot) map.reveal(point.spot);
    return page;
  }

  private pageOf(point: PointRef, info: PointInfo): ReturnType<PointPage["parts"]> {
    this.selected = point;
    const { space, tasks } = this.world;
    this.page = new PointPage(space, point, info, tasks, {
      openItem: (id) => this.openId(id),
      glow: (word) => this.glow(word),
      naming: this.world.naming,
      other: () => this.another(point),
      link: () => this.link(),
      changed: () => this.remember(),
      start: (mode, from) => this.begin(mode, from),
      marks: (of, told, more) => this.mark(of, told, more),
      became: (now) => this.became(now),
      copyLink: () => void this.copyLink(),
    });
    return this.page.parts();
  }

  /** The slider made another point of the one that is looked at: the title and the address are of it. */
  private became(point: PointRef): void {
    this.selected = point;
    this.panel.entitle(point.about, [point.title]);
    this.remember();
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
    const { map } = this.second;
    const of = (first: number, kind: Mark["kind"]): Mark[] => {
      const row = this.twinRow(this.world, first);
      return row < 0 ? [] : [{ kind, ...map.at(row) }];
    };
    map.show([...info.nearest.flatMap((one) => of(this.world.items?.rowOf.get(one.id) ?? -1, "near")), ...of(point.row, "selected")]);
  }

  /** An item far from a point, to ask the same of its vector; the same one each time. */
  private another(point: PointRef): PointRef | null {
    const { map, items } = this.world;
    if (!items) return null;
    let hash = 7;
    for (const letter of point.key) hash = (hash * 31 + letter.charCodeAt(0)) >>> 0;
    const near = point.info?.nearest.flatMap((one) => items.rowOf.get(one.id) ?? []) ?? [];
    const row = farRow(map.count, (one) => map.at(one), point.spot, hash, new Set([point.row, ...near]));
    if (row >= 0) return this.itemAt(row);
    this.say("The space has no other item to ask the same of.");
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
    this.world.map.begin(from.row, from.spot);
    this.say(mode === "walk" ? "Pick where to walk to, on the map or by search." : "Pick the other item, on the map or by search.");
  }

  /** What a search found is one of the two points that a walk or a reason waits for, else it is looked at. */
  private foundRow(row: number): void {
    const { items, map } = this.world;
    if (items && (map.mode === "walk" || map.mode === "why")) this.joined(map.mode, this.itemAt(row));
    else this.openRow(row);
  }

  private async foundExpression(text: string): Promise<void> {
    const { space, map } = this.world;
    const { mode } = map;
    if (mode !== "walk" && mode !== "why") return void this.openExpression(text);
    this.say("Working it out …");
    try {
      const info = await api.point(space, { expression: text });
      const [about, title] = namedExpression(text);
      if (map === this.world.map && mode === map.mode) this.joined(mode, expressionPoint(title, about, text, info));
    } catch (error) {
      this.say(message(error), true);
    }
  }

  /** Takes a point as the second of two, or as the first where none was picked. */
  private joined(mode: "walk" | "why", point: PointRef): void {
    const { begun } = this.world.map;
    const first = this.from ?? (begun && this.refOf(begun));
    if (!first) this.begin(mode, point);
    else if (mode === "walk") void this.walk(first, point);
    else void this.why(first, point);
  }

  /** The point that a walk or a reason was begun from in the panel; it need not be a place of the map. */
  private from: PointRef | null = null;

  private async placed(point: PointRef): Promise<PointRef> {
    return point.place.expression || point.place.vector ? point : emptyPoint(this.world.space, point.spot!);
  }

  private async walk(from: PointRef, to: PointRef): Promise<void> {
    const start = this.from ?? from;
    this.setMode("look");
    this.leavePoint();
    this.remember(true);
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
    const number = this.leavePoint();
    this.remember(true);
    const marks: Mark[] = [first, second].flatMap((one, n) => (one.spot ? [{ ...one.spot, kind: "selected" as const, text: n ? "B" : "A" }] : []));
    this.world.map.show(marks, marks);
    this.world.map.revealAll(marks);
    const title = [name(first.title), " and ", name(second.title)];
    await this.panel.work("two points compared", title, "Looking for words that carry their score …", async () => {
      const found = await api.why(this.world.space, first.place, second.place);
      if (number === this.latest) this.panel.entitle(isMatch(found) ? "why they are near" : "they are not near", title);
      return whyParts(found);
    });
  }

  private async describe(rows: number[]): Promise<void> {
    const { world } = this;
    const { items, space, map } = world;
    if (!items) return;
    if (rows.length === map.count) {
      map.clearLoop();
      return this.say("These are all items, and nothing is left to hold them against: draw around some.");
    }
    this.say("");
    this.leavePoint();
    map.show([]);
    this.remember(true);
    const loop = map.lasso;
    const some = sampled(rows.map((row) => items.ids[row]!));
    const drawn: Drawn | null = some.length < rows.length ? { count: rows.length, total: map.count } : null;
    const leaving = new AbortController();
    const working = this.panel.work(
      "set",
      [counted(rows.length, "item")],
      "Reading what they share …",
      async () => {
        const found = await api.describeSet(space, some, false, leaving.signal);
        const middle = button("Ask about its middle", () => void this.openExpression(`mean(${some.map(quoted).join(", ")})`));
        return setParts(found, this.setActions(world), [some.length > 1 && some.length <= 40 && middle], drawn);
      },
      () => {
        leaving.abort();
        map.clearLoop();
      },
    );
    map.keepLoop(loop); // the page before took its own away
    await working;
  }

  private async openPerson(): Promise<void> {
    const space = this.world.space.num_users > 0 ? this.world.space : this.all.find((one) => one.num_users > 0)!;
    if (space !== this.world.space) await this.openSpace(space);
    await this.world.filled;
    const { items } = this.world;
    if (!items || this.world.space !== space) return;
    this.leavePoint();
    this.remember(true);
    this.panel.show("a person", ["Ratings"], personParts(items, 20, (expression, unrated) => void this.readPerson(expression, unrated)));
  }

  private async readPerson(expression: string, unrated: string[]): Promise<void> {
    const { space } = this.world;
    const number = this.leavePoint();
    await this.panel.work("a person", ["What the ratings say"], "Folding the ratings in …", async () => {
      const place = { expression };
      const [found, info] = await Promise.all([api.tastes(space, place), api.point(space, place)]);
      const point = expressionPoint("This person", "a person", expression, info);
      if (number !== this.latest) return [];
      const doubts = info.notes.map((note) => el("p", { class: "doubt" }, note));
      const left = unrated.length > 0 && el("p", { class: "doubt" }, "Left out, for no rating was chosen: ", ...names(unrated), ".");
      return [...doubts, left, ...tasteParts(found), ...this.pageOf(point, { ...info, notes: [] })];
    }, () => this.page?.leave());
    if (number === this.latest) this.remember(true);
  }

  // --- colours ---

  private glow(word: string): void {
    void this.colorBy("word", word);
  }

  /** Colours the map; what cannot be had leaves the colours that are there. */
  private async colorBy(source: string, name: string): Promise<void> {
    const { world } = this;
    const number = ++this.latestColor;
    const isLatest = (): boolean => number === this.latestColor && world === this.world;
    this.top.showColor(source ? `${source}:${name}` : "");
    try {
      if (source === "word") this.say(`Reading ${name} from every vector …`);
      const found = source ? await api.colors(world.space, source, name) : null;
      await world.filled;
      if (!isLatest()) return;
      this.color = source ? `${source}:${name}` : "";
      this.colored = found;
      if (source === "word") this.say("");
      this.paint();
    } catch (error) {
      if (!isLatest()) return;
      this.top.showColor(this.color);
      this.say(message(error), true);
    }
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

  /** Every item of the second space in the colour that it has in the first, so that one sees where groups went; else in its own. */
  private paintSecond(): void {
    if (!this.second) return;
    const { second, theme } = this;
    const { map, toFirst, legend } = second;
    const isTied = this.takesColors(second);
    const found = isTied ? this.colored : second.colored;
    const shades = found ? bytes(found.shades) : new Uint8Array(map.count);
    const own = isTied && found ? Uint8Array.from(toFirst, (row) => (row < 0 ? 255 : shades[row]!)) : shades;
    map.setColors(own, paletteOf(theme, found?.source ?? "", found?.names.length ?? 0), found?.source === "word");
    legend.hidden = isTied || !found || found.source === "regions";
    if (found && !legend.hidden) legend.replaceChildren(...legendOf(found, theme, () => ((second.colored = null), this.paintSecond())));
  }

  private tellColors(found: Colors | null): void {
    this.legend.hidden = !found || found.source === "regions";
    if (found && !this.legend.hidden) this.legend.replaceChildren(...legendOf(found, this.theme, () => void this.colorBy("", ""), this.world.space.num_regions ? "" : NO_REGIONS));
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

  /** The row of the same item in the other space; -1 for none. */
  private twinRow(from: World, row: number): number {
    const rows = from === this.second ? this.second.toFirst : this.second?.ofFirst;
    return rows?.[row] ?? -1;
  }

  private twin(world: World, row: number): void {
    if (!this.second) return;
    const other = world === this.world ? this.second : this.world;
    const found = this.twinRow(world, row);
    other.map.show(found < 0 ? [] : [{ kind: "twin", ...other.map.at(found), text: other.items ? called(other.items.labels[found]!, other.items.ids[found]!) : "" }]);
  }

  // --- keys, modes, address ---

  private setMode(mode: Mode): void {
    if (mode !== "look" && this.opening === this.latest && !this.page) this.panel.close(); // it would come amid the gesture
    this.from = null;
    this.beginning.hidden = true;
    this.world.map.setMode(mode);
    this.top.setMode(mode);
    document.body.dataset["mode"] = mode;
    const hints: Record<Mode, string> = {
      look: "",
      walk: "Drag from one point to another, or pick two, on the map or by search.",
      why: "Pick two items, on the map or by search, or drag from one to the other.",
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
    this.leavePoint();
    this.world.map.show([]);
    this.world.map.clearLoop();
    this.remember(true);
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

  /** Puts what is shown into the address, soon; a step is put there at once, and the browser goes back by it. */
  private remember(isStep = false): void {
    if (this.gone.signal.aborted) return;
    clearTimeout(this.hashTimer);
    if (isStep) this.write(true);
    // a panel that opens or closes changes the view a little later
    this.hashTimer = window.setTimeout(() => this.write(false), 200);
    this.entitle();
  }

  private entitle(): void {
    document.title = `${shown(this.selected?.title ?? this.world.space.name)} · vecspeak`;
  }

  private write(isStep: boolean): void {
    const [before, next] = [readHash(location.hash), this.shown()];
    const isOther = before.space !== "" && next.at !== before.at;
    history[isStep && isOther && !this.following ? "pushState" : "replaceState"](null, "", hashOf(next));
  }

  private link(): string {
    return `${location.origin}/${hashOf(this.shown())}`;
  }

  private async copyLink(): Promise<void> {
    history.replaceState(null, "", hashOf(this.shown()));
    if (!this.selected?.link) return this.say("This point is numbers alone, which a link cannot hold: the link of this page shows the map without it.", true);
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

/** What an expression is, and how it is called. */
function namedExpression(text: string): [string, string] {
  if (text.startsWith("text: ")) return ["a text, by its own vector", text.slice("text: ".length)];
  return ["expression", isGlanced(text) ? text : "A point made of others"];
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
