// The slider that pulls a point along a concept: each step's words at once, and the last question once it rests.

import * as api from "./api";
import type { PointInfo, Space } from "./api";
import { el, nodesOf } from "./dom";
import { message } from "./panel";
import type { PointRef } from "./point";
import { signed } from "./words";

const AMOUNTS = [-8, -6, -4, -2, 0, 2, 4, 6, 8];
const MIDDLE = AMOUNTS.indexOf(0);
const REST = 500;

interface Way {
  caution: string;
  steps: PointInfo[];
}

/** Where the slider stands; `step` is null at the point itself. */
export interface Pulled {
  concept: string;
  amount: number;
  step: PointInfo | null;
  steps: PointInfo[];
}

export interface PullActions {
  /** The slider moved; what the point becomes is to come. */
  coming(point: Promise<PointRef>): void;
  /** Shows what the point has become. */
  show(pulled: Pulled): PointRef;
  /** The slider has not moved for a while. */
  rested(): void;
}

export class PullSlider {
  readonly element: HTMLElement;
  private readonly concept: HTMLSelectElement;
  /** What the slider can stand at: its value is a place in these. */
  private amounts = AMOUNTS;
  private readonly range = el("input", {
    attrs: { type: "range", min: 0, max: AMOUNTS.length - 1, value: MIDDLE, name: "amount", "aria-label": "How far along the concept, in standard deviations" },
  });
  private readonly amount = el("output", {}, "0");
  private readonly said = el("p", { class: "quiet", attrs: { role: "status" } });
  private readonly ways = new Map<string, Promise<Way>>();
  private shown: { point: PointRef; amount: number };
  private latest = 0;
  private timer = 0;

  constructor(
    private readonly space: Space,
    private readonly start: PointRef,
    private readonly actions: PullActions,
  ) {
    this.shown = { point: start, amount: 0 };
    this.concept = el("select", { attrs: { "aria-label": "Concept", name: "concept" } }, ...space.concepts.map((one) => el("option", { attrs: { value: one } }, one)));
    for (const [one, event] of [[this.range, "input"], [this.concept, "change"]] as const) one.addEventListener(event, () => void this.moved());
    this.tell(0);
    this.element = el(
      "section",
      { class: "pull", attrs: { "aria-label": "Pull along a concept" } },
      el("h3", {}, "Pull along a concept"),
      el("div", { class: "row" }, this.concept, this.range, this.amount),
      this.said,
    );
  }

  /** Ends what is still to come: nobody looks at the point any more. */
  leave(): void {
    this.latest++;
    clearTimeout(this.timer);
  }

  /** Puts the slider somewhere, also between its steps; says whether the point was pulled there. */
  async put(concept: string, amount: number): Promise<boolean> {
    if (!this.amounts.includes(amount)) this.widen(amount);
    this.concept.value = concept;
    this.range.value = String(this.amounts.indexOf(amount));
    await this.moved(false);
    return this.shown.amount === amount && this.concept.value === concept;
  }

  /** Makes an amount one of those that the slider can stand at; the ways that were read lack it. */
  private widen(amount: number): void {
    this.amounts = [...AMOUNTS, amount].sort((a, b) => a - b);
    this.range.max = String(this.amounts.length - 1);
    this.ways.clear();
  }

  private moved(asksAgain = true): Promise<PointRef> {
    clearTimeout(this.timer);
    const number = ++this.latest;
    const coming = this.pulled(number, asksAgain);
    this.actions.coming(coming);
    return coming;
  }

  /** What is shown once this move has come, or has failed; a later move shows its own. */
  private async pulled(number: number, asksAgain: boolean): Promise<PointRef> {
    const [concept, amount] = [this.concept.value, this.amounts[Number(this.range.value)]!];
    this.tell(amount);
    try {
      const { caution, steps } = await this.way(concept);
      if (number !== this.latest) return this.shown.point;
      this.said.replaceChildren(...nodesOf([caution]));
      const step = amount ? steps.find((one) => one.amount === amount) : null;
      if (step === undefined) throw new Error(`The way along ${concept} has no step ${signed(amount)}.`);
      this.shown = { point: this.actions.show({ concept, amount, step, steps }), amount };
      if (asksAgain) this.timer = window.setTimeout(() => this.actions.rested(), REST);
    } catch (error) {
      if (number === this.latest) this.failed(error);
    }
    return this.shown.point;
  }

  private way(concept: string): Promise<Way> {
    const known = this.ways.get(concept);
    if (known) return known;
    this.said.textContent = "Reading the way …";
    const made = api.pull(this.space, this.start.place, concept, this.amounts);
    this.ways.set(concept, made);
    made.catch(() => this.ways.delete(concept));
    return made;
  }

  /** Puts the slider back to what is shown. */
  private failed(error: unknown): void {
    this.range.value = String(this.amounts.indexOf(this.shown.amount));
    this.tell(this.shown.amount);
    this.said.replaceChildren(...nodesOf([message(error)]));
  }

  private tell(amount: number): void {
    this.amount.textContent = signed(amount);
    this.range.setAttribute("aria-valuetext", signed(amount));
  }
}
