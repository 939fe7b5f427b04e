// The conversation about a point: a field for free questions, the tasks as buttons, and the answers so far.
// Each turn keeps the place of the vector that it was asked of: a slider may make another of the point meanwhile.

import * as api from "./api";
import type { Space, Tasks } from "./api";
import { AnswerView } from "./answer";
import { asJson, asMarkdown, conversations, download, type Conversation, type Proved, type Turn } from "./conversation";
import { button, counted, el } from "./dom";
import { message } from "./panel";
import { isSame, nameOf, type Naming, type PointRef } from "./point";
import type { Question } from "./state";
import { asIt, fittingTasks, quickQuestions, withSlot } from "./words";

export interface AskingActions {
  openItem(id: string): void;
  glow(word: string): void;
  naming: Naming;
  /** Another item's point, by which an answer can be proved. */
  other(): PointRef | null;
  link(): string;
  changed(): void;
}

const STOPPED = { other: "Stopped, for another question came.", left: "Stopped, for the point was left before the answer came." };

export class Asking {
  readonly element = el("section", { class: "asking", attrs: { "aria-label": "Questions and answers" } });
  private readonly list = el("div", { class: "turns" });
  private readonly field = el("input", {
    attrs: { type: "text", "aria-label": "A question about it", placeholder: "Ask about it …", autocomplete: "off", name: "question" },
  });
  private readonly views = new Map<Turn, AnswerView>();
  private readonly found: Conversation;
  private running: AbortController | null = null;
  private last: Question | null = null;
  /** The turn that followed the slider; the next one takes its place. */
  private followed: Turn | null = null;
  private point: PointRef;
  /** What the point becomes; the next question is asked of it. */
  private coming: Promise<PointRef>;
  private isLeft = false;

  constructor(
    private readonly space: Space,
    private readonly own: PointRef,
    tasks: Tasks,
    private readonly actions: AskingActions,
    isPerson: boolean,
  ) {
    this.point = own;
    this.coming = Promise.resolve(own);
    const name = `${space.model}/${space.name}/${space.digest}/${own.key}`;
    this.found = conversations.get(name) ?? { title: own.title, space: space.name, expression: own.place.expression ?? own.title, turns: [] };
    conversations.set(name, this.found);
    const form = el(
      "form",
      { class: "ask", on: { submit: (event: Event) => this.submitted(event) } },
      this.field,
      el("button", { class: "primary", attrs: { type: "submit" } }, "Ask"),
    );
    const known = fittingTasks(tasks, isPerson);
    const tasksList = el(
      "details",
      { class: "tasks" },
      el("summary", {}, counted(known.length, "task")),
      el("div", { class: "buttons" }, ...known.map((one) => button(one.name.replaceAll("_", " "), () => void this.ask(one.question, one.name), { attrs: { title: asIt(one.question) } }))),
    );
    const quick = el("div", { class: "buttons" }, ...quickQuestions(tasks, isPerson).map((one) => button(one, () => void this.ask(one))));
    this.element.append(form, quick, known.length ? tasksList : "", this.list);
    for (const turn of this.found.turns) this.show(turn);
    this.last = this.found.turns.findLast((one) => !one.about) ?? null;
  }

  /** What was asked of the point as it is now. */
  get questions(): Question[] {
    return this.found.turns.filter((one) => !one.about && isSame(one.place, this.point.place));
  }

  get hasTurns(): boolean {
    return this.questions.length > 0;
  }

  focus(): void {
    this.field.focus();
  }

  export(kind: "md" | "json"): void {
    const name = this.own.title.replace(/[^\p{L}\p{N}]+/gu, "-").slice(0, 60) || "point";
    if (kind === "md") download(`${name}.md`, asMarkdown(this.found, this.actions.link()), "text/markdown");
    else download(`${name}.json`, asJson(this.found, this.actions.link()), "application/json");
  }

  /** Ends the answer that is being made, and what waits for the slider. */
  leave(): void {
    this.isLeft = true;
    this.running?.abort(STOPPED.left);
  }

  /** The slider moved: questions are of what the point becomes, once that has come. */
  become(coming: Promise<PointRef>): void {
    this.coming = coming;
  }

  /** Asks the last question again of what the point has become, unless it was asked of it before. */
  async follow(): Promise<void> {
    const { last } = this;
    const point = await this.settled();
    if (!last || !point) return;
    const isAsked = this.found.turns.some((one) => !one.about && !one.error && one.question === last.question && one.task === last.task && isSame(one.place, point.place));
    if (isAsked) return;
    if (this.followed) this.drop(this.followed);
    this.followed = this.turnOf(point, { ...last, effort: "quick" });
    await this.answer(this.followed);
  }

  async ask(question: string, task = "", effort = "quick"): Promise<void> {
    const point = await this.settled();
    if (!point) return;
    this.last = { question, task, effort };
    await this.answer(this.turnOf(point, this.last));
  }

  private submitted(event: Event): void {
    event.preventDefault();
    const question = this.field.value.trim();
    if (question) void this.ask(question);
    this.field.value = "";
  }

  /** The point once no move of the slider is under way; null once the page is left. */
  private async settled(): Promise<PointRef | null> {
    for (;;) {
      const { coming } = this;
      this.point = await coming;
      if (coming === this.coming) return this.isLeft ? null : this.point;
    }
  }

  private turnOf(point: PointRef, { question, task, effort }: Question): Turn {
    const of = isSame(point.place, this.own.place) ? "" : nameOf(point);
    return { question, task, effort, expression: point.place.expression ?? "", place: point.place, of, about: "", proves: null, text: "", evidence: null, error: "" };
  }

  /** Takes a turn away, with what proved it. */
  private drop(turn: Turn): void {
    const { turns } = this.found;
    const from = turns.indexOf(turn);
    if (from < 0) return;
    const after = turns.slice(from + 1).findIndex((one) => !one.about);
    const count = after < 0 ? turns.length - from : after + 1;
    for (const one of turns.splice(from, count)) {
      this.views.get(one)?.element.remove();
      this.views.delete(one);
    }
  }

  /** Asks; the answer stands at the end, or directly below the one that it proves. */
  private async answer(turn: Turn, proved: Turn | null = null): Promise<void> {
    this.running?.abort(STOPPED.other);
    const running = (this.running = new AbortController());
    const { turns } = this.found;
    turns.splice(proved ? turns.indexOf(proved) + 1 : turns.length, 0, turn);
    const view = this.show(turn, proved);
    view.element.scrollIntoView({ block: "nearest" });
    this.actions.changed();
    try {
      turn.evidence = await api.ask(
        { space: this.space, question: withSlot(turn.question), task: turn.task, effort: turn.effort, place: turn.place },
        (piece) => {
          turn.text += piece;
          view.refresh();
        },
        running.signal,
      );
    } catch (error) {
      turn.error = running.signal.aborted ? String(running.signal.reason) : message(error);
    }
    if (this.running === running) this.running = null;
    view.refresh();
    view.element.scrollIntoView({ block: "nearest" });
  }

  private show(turn: Turn, above: Turn | null = null): AnswerView {
    const view = new AnswerView(turn, {
      openItem: this.actions.openItem,
      glow: this.actions.glow,
      naming: this.actions.naming,
      again: (one, effort) => void this.answer({ ...one, effort, text: "", evidence: null, error: "" }),
      prove: (one, proves) => this.prove(one, proves),
    });
    this.views.set(turn, view);
    const before = above && this.views.get(above)?.element;
    if (before) before.after(view.element);
    else this.list.append(view.element);
    return view;
  }

  /** Asks the same of another item's vector. */
  private prove(turn: Turn, proves: Proved): void {
    const other = this.actions.other();
    if (!other) return;
    const asked: Turn = { ...turn, about: other.title, expression: other.place.expression ?? "", place: other.place, of: "", proves, text: "", evidence: null, error: "" };
    void this.answer(asked, turn);
  }
}
