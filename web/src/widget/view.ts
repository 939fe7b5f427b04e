// What the widget shows: a bar, the map, and beside it what was picked and what Python says of it.

import type { Clause, SetInfo } from "../api";
import { AnswerView, nearList, pointFacts } from "../answer";
import { DARK, LIGHT, packed, paletteOf, type Theme } from "../color";
import type { Proved, Turn } from "../conversation";
import { button, counted, el, nodesOf, type Child } from "../dom";
import { shown } from "../foreign";
import { colorOptions, legendOf, type Meaning } from "../legend";
import { farRow } from "../map/view";
import { SpaceMap, type Mark, type Mode, type Picked } from "../map/spacemap";
import { setParts } from "../pages";
import { distinct, namingOf, type Naming } from "../point";
import { Search } from "../search";
import { withSlot } from "../words";
import { bytesOf, itemsOf, Requests, type Model, type Reply, type Told, type Values } from "./model";
import { themeAround } from "./theme";

const MOST_RINGS = 40;
const MOST_LISTED = 8;
const PATIENCE = 8000;

export class WidgetView {
  private readonly map: SpaceMap;
  private readonly requests: Requests;
  private readonly stage = el("div", { class: "stage" });
  private readonly panel = el("aside", { class: "side", attrs: { "aria-label": "What was picked", hidden: true } });
  private readonly head = el("header", {});
  private readonly body = el("div", { class: "page" });
  private readonly legend = el("div", { class: "legend", attrs: { hidden: true } });
  private readonly note = el("p", { class: "note", attrs: { role: "status", hidden: true } });
  private readonly live = el("div", { class: "hidden", attrs: { "aria-live": "polite", role: "status" } });
  private readonly colors = el("select", { attrs: { "aria-label": "Colour by", name: "color" } });
  private readonly word = el("input", { attrs: { type: "text", "aria-label": "Glow where the lexicon reads this word", placeholder: "glow by a word …", autocomplete: "off", name: "word", hidden: true } });
  private readonly modes = new Map<Mode, HTMLButtonElement>();
  /** What each item is called where all are listed. */
  private readonly titles: string[];
  private readonly naming: Naming;
  private readonly heard: [string, (...args: never[]) => void][] = [];
  private readonly watcher = new MutationObserver(() => this.dress());
  private readonly placed = new ResizeObserver(() => this.dress());
  private theme: Theme | null = null;

  constructor(
    private readonly model: Model,
    private readonly host: HTMLElement,
    root: ShadowRoot,
  ) {
    this.requests = new Requests(model);
    const items = itemsOf(model);
    this.titles = distinct(items);
    this.naming = namingOf(items.labels);
    const title = model.get("_title");
    const search = new Search("Search items", "Search items …", (row) => this.pick(row, true), () => [], () => this.say("No item has such a label. Type letters of one."));
    search.searched = { ...items, titles: this.titles };
    for (const [mode, name, what] of [["look", "Pick", "Pick an item or an empty place; drag to move"], ["lasso", "Lasso", "Draw around items to select them"]] as const) {
      this.modes.set(mode, button(name, () => this.setMode(mode), { attrs: { "aria-pressed": mode === "look", title: what } }));
    }
    const byWord = (event: Event): void => {
      event.preventDefault();
      if (this.word.value.trim()) void this.colorBy("word", this.word.value.trim());
    };
    this.colors.append(...colorOptions(model.get("_sources"), "vs.atlas()"));
    this.colors.addEventListener("change", () => this.colorChosen());
    const bar = el(
      "div",
      { class: "bar-above" },
      search.element,
      el("form", { class: "colors", on: { submit: byWord } }, this.colors, this.word),
      el("div", { class: "modes", attrs: { role: "group", "aria-label": "What a drag does" } }, ...this.modes.values()),
    );
    const zoom = el(
      "div",
      { class: "zoom", attrs: { role: "group", "aria-label": "Zoom" } },
      button("+", () => this.map.zoom(1.5), { attrs: { "aria-label": "Closer" } }),
      button("−", () => this.map.zoom(1 / 1.5), { attrs: { "aria-label": "Farther" } }),
      button("⤢", () => this.map.reset(), { attrs: { "aria-label": "The whole map" } }),
    );
    this.panel.append(this.head, this.body);
    const frame = el("section", { class: "widget", attrs: { "aria-label": `Map of ${title}` } }, bar, this.stage, this.panel, this.live);
    frame.style.setProperty("--height", `${model.get("_height")}px`);
    root.append(frame);
    this.map = new SpaceMap(this.stage, this.events(), `Map of ${title}`, "zooms when focused");
    this.stage.append(this.legend, zoom, this.note);
    this.map.element.addEventListener("keydown", (event) => event.key === "Escape" && this.setMode("look"));
    const places = new Float32Array(bytesOf(model.get("_coordinates")));
    const count = places.length / 2;
    this.map.setPoints(Float32Array.from({ length: count }, (_, n) => places[2 * n]!), Float32Array.from({ length: count }, (_, n) => places[2 * n + 1]!));
    this.map.setNames(model.get("_names"));
    this.map.setLabels(this.titles);
    this.dress();
    this.listen("change:_shades", () => this.paint());
    this.listen("change:_color", () => this.paint());
    this.listen("change:_rows", () => this.showSelection());
    this.listen("change:_info", () => this.showPoint());
    this.listen("change:_height", () => frame.style.setProperty("--height", `${model.get("_height")}px`));
    this.listen("msg:custom", (reply) => void (this.requests.hear(reply) || (reply.kind === "said" && this.refused(reply.said))));
    for (const above of [document.documentElement, document.body]) this.watcher.observe(above, { attributes: true });
    this.placed.observe(host); // it may be put into the page later: only there something is behind it
    this.showSelection();
    this.showPoint();
  }

  leave(): void {
    for (const [event, call] of this.heard) this.model.off(event, call);
    this.watcher.disconnect();
    this.placed.disconnect();
    this.host.remove();
  }

  private listen(event: string, call: (reply: Reply) => void): void {
    this.heard.push([event, call]);
    this.model.on(event, call);
  }

  // --- what is done on the map ---

  private events(): ConstructorParameters<typeof SpaceMap>[1] {
    const nothing = (): void => undefined;
    return {
      pick: (picked: Picked) => (picked.row >= 0 ? this.pick(picked.row) : this.pickPlace(picked)),
      lasso: (rows) => this.select(rows),
      region: (_, name) => this.map.fly({ x: name.x, y: name.y, scale: this.map.view.scale * 2 }),
      say: (text) => this.say(text),
      hear: (text) => (this.live.textContent = shown(text)),
      walk: nothing,
      pair: nothing,
      hover: nothing,
      moved: nothing,
    };
  }

  /** Says what was clicked; Python selects it, and says what it is. */
  private put(place: Omit<Values["_place"], "click">, rows?: number[]): void {
    if (rows) this.model.set("_rows", new DataView(Int32Array.from(rows).buffer));
    this.model.set("_place", { ...place, click: Math.floor(Math.random() * 2 ** 40) });
    this.model.save_changes();
  }

  private pick(row: number, moves = false): void {
    const spot = this.map.at(row);
    if (moves) this.map.reveal(spot);
    this.wait("item", this.titles[row]!, { ...spot, kind: "selected" });
    this.put({ row });
  }

  private pickPlace(spot: Picked): void {
    this.wait("empty place", "A place between items", { x: spot.x, y: spot.y, kind: "selected" });
    this.put({ xy: [spot.x, spot.y] });
  }

  private pickId(id: string): void {
    this.put({ id });
  }

  private select(rows: number[]): void {
    this.map.clearLoop();
    this.put({}, rows);
  }

  private close(): void {
    this.panel.hidden = true;
    this.map.clearLoop();
    this.put({}, []);
  }

  private setMode(mode: Mode): void {
    this.map.setMode(mode);
    for (const [name, made] of this.modes) made.setAttribute("aria-pressed", String(name === mode));
    this.say(mode === "lasso" ? "Draw around items. By keys: arrows move the cross, [ and ] set the circle, Enter." : "");
  }

  // --- what was picked ---

  private get rows(): Uint32Array {
    return Uint32Array.from(new Int32Array(bytesOf(this.model.get("_rows"))));
  }

  private get told(): Told | null {
    const found = this.model.get("_info");
    return "title" in found ? (found as Told) : null;
  }

  private showSelection(): void {
    const { rows } = this;
    this.map.setChosen(rows.length > 1 ? rows : new Uint32Array(0));
    this.mark();
    if (!rows.length || (rows.length === 1 && this.told?.row === rows[0])) return;
    if (rows.length === 1) this.map.reveal(this.map.at(rows[0]!));
    const listed = [...rows.slice(0, MOST_LISTED)];
    const more = rows.length - listed.length;
    const found = el("div", { class: "facts" });
    this.show("selection", rows.length === 1 ? this.titles[rows[0]!]! : counted(rows.length, "item"), [
      el("div", { class: "buttons" }, rows.length > 1 && button("What they share", () => void this.share(found)), button("Clear", () => this.close())),
      found,
      el("ol", { class: "near" }, ...listed.map((row) => el("li", {}, button(this.titles[row]!, () => this.pick(row, true))))),
      more > 0 && el("p", { class: "quiet" }, `and ${more.toLocaleString()} more; in Python widget.selected() has them all.`),
    ]);
  }

  private async share(place: HTMLElement): Promise<void> {
    place.replaceChildren(el("p", { class: "working", attrs: { role: "status" } }, "Python counts what they share …"));
    try {
      const reply = (await this.requests.ask({ kind: "share" })) as { found: SetInfo };
      place.replaceChildren(...setParts(reply.found, { open: (id) => this.pickId(id), glow: (word) => void this.colorBy("word", word), naming: this.naming }).filter((one): one is Node => one instanceof Node));
    } catch (error) {
      place.replaceChildren(el("p", { class: "doubt", attrs: { role: "alert" } }, (error as Error).message));
    }
  }

  private showPoint(): void {
    const { told } = this;
    this.mark();
    if (!told) {
      if (!this.rows.length) this.panel.hidden = true;
      return;
    }
    const turns = el("div", { class: "turns" });
    const field = el("input", { attrs: { type: "text", "aria-label": "A question about it", placeholder: "Ask about it …", autocomplete: "off", name: "question" } });
    const submit = (event: Event): void => {
      event.preventDefault();
      if (field.value.trim()) void this.ask(turns, field.value.trim());
      field.value = "";
    };
    this.show(told.about, told.title, [
      el("div", { class: "asking" }, el("form", { class: "ask", on: { submit } }, button("Describe", () => void this.ask(turns, "Describe it."), { class: "primary" }), field, el("button", { attrs: { type: "submit" } }, "Ask")), turns),
      el("div", { class: "facts" }, ...pointFacts(told, (word) => void this.colorBy("word", word))),
      el("h3", {}, told.kind === "user" ? "Should like" : "Nearest items"),
      nearList(told.nearest, this.naming, (id) => this.pickId(id), 6),
    ]);
    if (told.map) this.map.reveal({ x: told.map[0], y: told.map[1] });
  }

  /** Rings around what was picked, what is near it, and a few selected items. */
  private mark(): void {
    const { told, rows } = this;
    const marks: Mark[] = (told?.near_rows ?? []).map((row) => ({ kind: "near", ...this.map.at(row) }));
    if (rows.length <= MOST_RINGS) for (const row of rows) if (row !== told?.row) marks.push({ kind: "twin", ...this.map.at(row) });
    if (told?.map) marks.push({ kind: "selected", x: told.map[0], y: told.map[1] });
    this.map.show(marks);
  }

  private show(kind: string, title: string, parts: Child[]): void {
    this.head.replaceChildren(el("div", {}, el("p", { class: "kind" }, kind), el("h2", {}, title)), button("×", () => this.close(), { class: "close", attrs: { "aria-label": "Close" } }));
    this.body.replaceChildren(...nodesOf(parts));
    this.body.scrollTop = 0;
    this.panel.hidden = false;
  }

  /** Says why what was picked is not shown. */
  private refused(said: string): void {
    this.say(said, true);
    if (this.body.querySelector(".working")) this.body.replaceChildren(el("p", { class: "doubt", attrs: { role: "alert" } }, said));
  }

  private wait(kind: string, title: string, mark: Mark): void {
    this.map.show([mark]);
    const said = el("p", { class: "working", attrs: { role: "status" } }, "Python reads the vector …");
    this.show(kind, title, [said]);
    setTimeout(() => (said.textContent = "Python does not answer yet: another cell runs, or the kernel was restarted; then run the cell of the widget again."), PATIENCE);
  }

  // --- questions ---

  private async ask(turns: HTMLElement, question: string, effort = "quick", other: { row: number; title: string } | null = null, proves: Proved | null = null, above: HTMLElement | null = null): Promise<void> {
    const turn: Turn = { question, task: "", effort, expression: "", place: {}, of: "", about: other?.title ?? "", proves, text: "", evidence: null, error: "" };
    const view = new AnswerView(turn, {
      openItem: (id) => this.pickId(id),
      glow: (word) => void this.colorBy("word", word),
      naming: this.naming,
      again: (one, more) => void this.ask(turns, one.question, more),
      prove: (one, said) => {
        const far = this.another();
        if (far) void this.ask(turns, one.question, one.effort, far, said, view.element);
        else this.say("The space has no other item to ask the same of.");
      },
    });
    if (above) above.after(view.element);
    else turns.prepend(view.element);
    const content = { kind: "ask", question: withSlot(question), effort, ...(other ? { row: other.row } : {}) };
    try {
      const reply = (await this.requests.ask(content, (piece) => {
        turn.text += piece;
        view.refresh();
      })) as Extract<Reply, { kind: "answer" }>;
      turn.text = reply.text;
      turn.evidence = { ...reply.evidence, clauses: reply.evidence.clauses as Clause[] };
    } catch (error) {
      turn.error = (error as Error).message;
    }
    view.refresh();
  }

  /** An item far from the picked one, to ask the same of its vector. */
  private another(): { row: number; title: string } | null {
    const { told, titles } = this;
    const near = new Set([told?.row ?? -1, ...(told?.near_rows ?? [])]);
    const from = told?.map ? { x: told.map[0], y: told.map[1] } : null;
    const row = farRow(titles.length, (one) => this.map.at(one), from, Math.floor(Math.random() * titles.length), near);
    return row < 0 ? null : { row, title: titles[row]! };
  }

  // --- colours ---

  private colorChosen(): void {
    const at = this.colors.value.indexOf(":");
    const [source, name] = at < 0 ? ["", ""] : [this.colors.value.slice(0, at), this.colors.value.slice(at + 1)];
    this.word.hidden = source !== "word";
    if (source === "word") this.word.focus();
    else void this.colorBy(source, name);
  }

  private async colorBy(source: string, name: string): Promise<void> {
    this.say(source === "word" ? `Reading ${name} from every vector …` : "");
    try {
      await this.requests.ask({ kind: "color", source, name });
      this.say("");
    } catch (error) {
      this.say((error as Error).message, true);
      this.paint();
    }
  }

  private paint(): void {
    const theme = this.theme ?? LIGHT;
    const found = this.model.get("_color");
    const color: Meaning | null = "source" in found ? (found as Meaning) : null;
    const shades = new Uint8Array(bytesOf(this.model.get("_shades")));
    if (color && shades.length !== this.map.count) return; // the other half of a change is still to come
    const palette = paletteOf(theme, color?.source ?? "", color?.names.length ?? 0);
    this.map.setColors(color ? shades : new Uint8Array(this.map.count), palette, color?.source === "word");
    this.legend.hidden = !color || color.source === "regions";
    if (color && !this.legend.hidden) this.legend.replaceChildren(...legendOf(color, theme, () => void this.colorBy("", "")));
    this.colors.value = !color ? "" : color.source === "word" ? "word:" : `${color.source}:${color.name}`;
    this.word.hidden = color?.source !== "word";
    if (color?.source === "word") this.word.value = color.name;
  }

  private dress(): void {
    const theme = themeAround(this.host) === "dark" ? DARK : LIGHT;
    if (theme === this.theme) return;
    this.theme = theme;
    this.host.dataset["theme"] = theme.isDark ? "dark" : "light";
    const { ink, paper, accent, background } = theme;
    this.map.setTheme({ ink, paper, accent, background: packed(background) });
    this.paint();
  }

  private say(text: string, stays = false): void {
    const said = shown(text);
    this.note.textContent = this.live.textContent = said;
    this.note.hidden = !text;
    this.note.classList.toggle("doubt", stays);
    if (text && !text.endsWith("…")) setTimeout(() => this.note.textContent === said && (this.note.hidden = true), stays ? 12_000 : 6000);
  }
}
