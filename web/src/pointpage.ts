// The page of a point: what it is, its words, what is near, how far from the data, a slider, and the conversation.

import * as api from "./api";
import type { PointInfo, Space, Tasks } from "./api";
import { nearList, pointFacts } from "./answer";
import { Asking, type AskingActions } from "./asking";
import { button, el, nodesOf, type Child } from "./dom";
import type { Mark } from "./map/spacemap";
import type { Spot } from "./map/view";
import { message } from "./panel";
import { pulledPoint, type PointRef } from "./point";
import { PullSlider, type Pulled } from "./pull";
import type { Pull } from "./state";
import { isLittleKnown, signed } from "./words";

export interface PointActions extends AskingActions {
  start(mode: "walk" | "why", point: PointRef): void;
  marks(point: PointRef, info: PointInfo, more?: Mark[]): void;
  /** The slider made another point of it. */
  became(point: PointRef): void;
  copyLink(): void;
}

export class PointPage {
  readonly asking: Asking;
  private readonly facts = el("div", { class: "facts" });
  private readonly near = el("div", { class: "facts" });

  private readonly slider: PullSlider | null;
  /** What the point is now: itself, or pulled along a concept. */
  private now: PointRef;

  constructor(
    private readonly space: Space,
    private readonly point: PointRef,
    private readonly info: PointInfo,
    tasks: Tasks,
    private readonly actions: PointActions,
  ) {
    this.now = point;
    this.asking = new Asking(space, point, tasks, actions, info.kind === "user");
    this.slider = space.concepts.length ? this.pulling() : null;
    this.tell(info);
    actions.marks(point, info);
  }

  parts(): Child[] {
    const { point, actions } = this;
    return [
      this.facts,
      this.slider?.element,
      this.asking.element,
      this.near,
      el(
        "div",
        { class: "tools wide" },
        button("Walk from here", () => actions.start("walk", this.now)),
        point.row >= 0 && button("Why near another", () => actions.start("why", this.now)),
        button("Copy link", actions.copyLink),
        button("Export Markdown", () => this.asking.export("md")),
        button("Export JSON", () => this.asking.export("json")),
      ),
    ];
  }

  /** Pulls the point along a concept, as the slider does; says whether it got there. */
  async pull({ concept, amount }: Pull): Promise<boolean> {
    return (await this.slider?.put(concept, amount)) ?? false;
  }

  /** What the point is now. */
  get spot(): Spot | null {
    return this.now.spot;
  }

  /** Ends what is still to come: another page took its place, or none. */
  leave(): void {
    this.slider?.leave();
    this.asking.leave();
  }

  private tell(info: PointInfo): void {
    this.facts.replaceChildren(...pointFacts(info, this.actions.glow));
    this.near.replaceChildren(
      ...[
        el("details", { attrs: { open: true } }, el("summary", {}, info.kind === "user" ? (isLittleKnown(info.expression) ? "May like" : "Should like") : info.made_of ? "Nearest of the other items" : "Nearest items"), nearList(info.nearest, this.actions.naming, this.actions.openItem, 5)),
        this.now.row >= 0 && this.ownText(),
      ].filter((one): one is HTMLElement => Boolean(one)),
    );
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

  private pulling(): PullSlider {
    return new PullSlider(this.space, this.point, {
      coming: (point) => this.asking.become(point),
      show: (pulled) => this.pulled(pulled),
      rested: () => void this.asking.follow(),
    });
  }

  private pulled({ concept, amount, step, steps }: Pulled): PointRef {
    const info = step ?? this.info;
    this.now = step ? pulledPoint(this.point, concept, amount, step) : this.point;
    this.tell(info);
    const ghosts: Mark[] = steps.flatMap((one) => (one.map ? [{ kind: "ghost" as const, x: one.map[0], y: one.map[1] }] : []));
    const here: Mark[] = this.now.spot ? [{ kind: "selected", ...this.now.spot, text: step ? `${signed(amount)} ${concept}` : "" }] : [];
    this.actions.marks(this.now, info, [...ghosts, ...here]);
    this.actions.became(this.now);
    return this.now;
  }
}
