// The conversation about a point: a field for free questions, the tasks as buttons, and the answers so far.

import * as api from "./api";
import type { Place, Space, Task } from "./api";
import { AnswerView } from "./answer";
import { asJson, asMarkdown, conversations, download, type Conversation, type Turn } from "./conversation";
import { button, el } from "./dom";
import { message } from "./panel";
import type { PointRef } from "./point";
import { asIt, withSlot } from "./words";

export interface AskingActions {
  openItem(id: string): void;
  glow(word: string): void;
  /** Another item's point, by which an answer can be proved. */
  other(): PointRef | null;
  link(): string;
  changed(): void;
}

const FREE = ["Describe {x}.", "What is the mood of {x}?", "Who would like {x}?"];

export class Asking {
  readonly element = el("section", { class: "asking", attrs: { "aria-label": "Questions and answers" } });
  private readonly turns = el("div", { class: "turns" });
  private readonly field = el("input", {
    attrs: { type: "text", "aria-label": "A question about it", placeholder: "Ask about it …", autocomplete: "off", name: "question" },
  });
  private running: AbortController | null = null;
  private last: { question: string; task: string } | null = null;
  private readonly found: Conversation;

  constructor(
    private readonly space: Space,
    private point: PointRef,
    tasks: Task[],
    private readonly actions: AskingActions,
    isPerson: boolean,
  ) {
    const expression = point.place.expression ?? point.title;
    const name = `${space.model}/${space.name}/${point.key}`;
    this.found = conversations.get(name) ?? { title: point.title, space: space.name, expression, turns: [] };
    conversations.set(name, this.found);
    const form = el(
      "form",
      { class: "ask", on: { submit: (event: Event) => this.submitted(event) } },
      this.field,
      el("button", { class: "primary", attrs: { type: "submit" } }, "Ask"),
    );
    const known = tasks.filter((one) => one.of_person === isPerson && one.slots.length === 1);
    const tasksList = el(
      "details",
      { class: "tasks" },
      el("summary", {}, `${known.length} tasks that the reader was taught`),
      el("div", { class: "buttons" }, ...known.map((one) => button(one.name.replaceAll("_", " "), () => void this.ask(one.question, one.name), { attrs: { title: asIt(one.question) } }))),
    );
    const quick = el("div", { class: "buttons" }, ...(isPerson ? [] : FREE).map((one) => button(asIt(one), () => void this.ask(one))));
    this.element.append(form, quick, known.length ? tasksList : "", this.turns);
    for (const turn of this.found.turns) this.turns.append(this.view(turn).element);
    this.last = this.found.turns.findLast((one) => !one.about) ?? null;
  }

  get questions(): string[] {
    return this.found.turns.filter((one) => !one.about).map((one) => one.question);
  }

  get hasTurns(): boolean {
    return this.found.turns.length > 0;
  }

  focus(): void {
    this.field.focus();
  }

  export(kind: "md" | "json"): void {
    const name = this.point.title.replace(/[^\p{L}\p{N}]+/gu, "-").slice(0, 60) || "point";
    if (kind === "md") download(`${name}.md`, asMarkdown(this.found, this.actions.link()), "text/markdown");
    else download(`${name}.json`, asJson(this.found, this.actions.link()), "application/json");
  }

  stop(): void {
    this.running?.abort();
  }

  private submitted(event: Event): void {
    event.preventDefault();
    const question = this.field.value.trim();
    if (question) void this.ask(withSlot(question));
    this.field.value = "";
  }

  /** Asks the last question again of what the point has become; for a slider. */
  async follow(point: PointRef): Promise<void> {
    this.point = point;
    if (this.last) await this.ask(this.last.question, this.last.task, "quick", true);
  }

  async ask(question: string, task = "", effort = "quick", replaces = false): Promise<void> {
    this.last = { question, task };
    await this.answer({ question, task, effort, about: "", proves: "", text: "", evidence: null, error: "" }, this.point.place, replaces);
  }

  private async answer(turn: Turn, place: Place, replaces = false): Promise<void> {
    this.running?.abort();
    const running = (this.running = new AbortController());
    if (replaces) {
      // the last answer, and what proved it
      const from = this.found.turns.findLastIndex((one) => !one.about);
      for (const _ of this.found.turns.splice(Math.max(from, 0))) this.turns.lastElementChild?.remove();
    }
    this.found.turns.push(turn);
    const view = this.view(turn);
    this.turns.append(view.element);
    view.element.scrollIntoView({ block: "nearest" });
    this.actions.changed();
    try {
      const places = [{ space: this.space.name, place, slot: "x" }];
      turn.evidence = await api.ask(
        { model: this.space.model, question: turn.question, task: turn.task, effort: turn.effort, places },
        (piece) => {
          turn.text += piece;
          view.refresh();
        },
        running.signal,
      );
    } catch (error) {
      turn.error = running.signal.aborted ? "Stopped, for another question came." : message(error);
    }
    if (this.running === running) this.running = null;
    view.refresh();
    view.element.scrollIntoView({ block: "nearest" });
  }

  private view(turn: Turn): AnswerView {
    return new AnswerView(turn, {
      openItem: this.actions.openItem,
      glow: this.actions.glow,
      again: (one, effort) => void this.ask(one.question, one.task, effort),
      prove: (one) => {
        const other = this.actions.other();
        if (!other) return;
        const asked: Turn = { ...one, about: other.title, proves: one.text, text: "", evidence: null, error: "" };
        void this.answer(asked, other.place);
      },
    });
  }
}
