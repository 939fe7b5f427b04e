// The page of a point: what it is, its words, what is near, how far from the data, a slider, and the conversation.

import * as api from "./api";
import type { PointInfo, Space, Task } from "./api";
import { nearList, pointFacts } from "./answer";
import { Asking, type AskingActions } from "./asking";
import { button, el, nodesOf, type Child } from "./dom";
import type { Mark } from "./map/spacemap";
import { message } from "./panel";
import { madePoint, type PointRef } from "./point";

export interface PointActions extends AskingActions {
  start(mode: "walk" | "why", point: PointRef): void;
  marks(point: PointRef, info: PointInfo, more?: Mark[]): void;
  copyLink(): void;
}

const AMOUNTS = [-8, -6, -4, -2, 0, 2, 4, 6, 8];

export class PointPage {
  readonly asking: Asking;
  private readonly facts = el("div", { class: "facts" });
  private readonly near = el("div", { class: "facts" });

  constructor(
    private readonly space: Space,
    private readonly point: PointRef,
    private info: PointInfo,
    private readonly tasks: Task[],
    private readonly actions: PointActions,
  ) {
    this.asking = new Asking(space, point, this.tasks, actions, info.kind === "user");
    this.tell(info);
  }

  parts(): Child[] {
    const { point, actions } = this;
    return [
      this.facts,
      this.space.concepts.length ? this.slider() : null,
      this.asking.element,
      this.near,
      el(
        "div",
        { class: "tools wide" },
        button("Walk from here", () => actions.start("walk", point)),
        point.row >= 0 && button("Why near another", () => actions.start("why", point)),
        button("Copy link", actions.copyLink),
        button("Export Markdown", () => this.asking.export("md")),
        button("Export JSON", () => this.asking.export("json")),
      ),
    ];
  }

  private tell(info: PointInfo): void {
    this.info = info;
    this.facts.replaceChildren(...pointFacts(info, this.actions.glow));
    this.near.replaceChildren(
      ...[
        el("details", { attrs: { open: true } }, el("summary", {}, info.kind === "user" ? "Should like" : "Nearest items"), nearList(info.nearest, this.actions.openItem, 5)),
        this.point.row >= 0 && this.ownText(),
      ].filter((one): one is HTMLElement => Boolean(one)),
    );
    this.actions.marks(this.point, info);
  }

  private ownText(): HTMLElement {
    const text = el("p", { class: "quiet own" }, "…");
    const made = el("details", {}, el("summary", {}, "Its own text, which the answers never see"), text);
    made.addEventListener("toggle", () => {
      if (!made.open || text.dataset["asked"]) return;
      text.dataset["asked"] = "yes";
      const id = this.point.link.slice("item:".length);
      api.ownText(this.space, id).then(
        (found) => text.replaceChildren(...nodesOf([found.text || "It has none."])),
        (error) => text.replaceChildren(...nodesOf([message(error)])),
      );
    });
    return made;
  }

  private slider(): HTMLElement {
    const concept = el("select", { attrs: { "aria-label": "Concept", name: "concept" } }, ...this.space.concepts.map((one) => el("option", { attrs: { value: one } }, one)));
    const range = el("input", {
      attrs: { type: "range", min: -8, max: 8, step: 2, value: 0, name: "amount", "aria-label": "How far along the concept, in standard deviations" },
    });
    const amount = el("output", {}, "0");
    const said = el("p", { class: "quiet" });
    let steps: PointInfo[] = [];
    let asked = "";
    let timer = 0;
    const pulled = async (): Promise<void> => {
      const at = Number(range.value);
      amount.textContent = at > 0 ? `+${at}` : String(at);
      try {
        if (asked !== concept.value) {
          said.textContent = "Reading the way …";
          asked = concept.value;
          const found = await api.pull(this.space, this.point.place, concept.value, AMOUNTS);
          steps = found.steps;
          said.replaceChildren(...nodesOf([found.caution]));
        }
        const info = steps.find((one) => one.amount === Number(range.value));
        if (!info) return;
        this.tell(at ? info : this.info.made_of ? { ...this.info } : info);
        const ghosts: Mark[] = steps.flatMap((one) => (one.map ? [{ kind: "ghost" as const, x: one.map[0], y: one.map[1] }] : []));
        const here: Mark[] = info.map ? [{ kind: "selected", x: info.map[0], y: info.map[1], text: `${amount.textContent} ${concept.value}` }] : [];
        this.actions.marks(this.point, info, [...ghosts, ...here]);
        clearTimeout(timer);
        timer = window.setTimeout(() => void this.asking.follow(at ? madePoint(this.point.title, "pulled", info) : this.point), 500);
      } catch (error) {
        asked = "";
        said.replaceChildren(...nodesOf([message(error)]));
      }
    };
    range.addEventListener("input", () => void pulled());
    concept.addEventListener("change", () => void pulled());
    return el(
      "section",
      { class: "pull", attrs: { "aria-label": "Pull along a concept" } },
      el("h3", {}, "Pull along a concept"),
      el("div", { class: "row" }, concept, range, amount),
      said,
    );
  }
}
