// The panel beside the map: one page at a time, with what led to it one step back.

import { button, el, nodesOf, type Child } from "./dom";

export class Panel {
  readonly element = el("aside", { attrs: { id: "panel", "aria-label": "What was picked", hidden: true, tabindex: -1 } });
  private readonly head = el("header", {});
  private readonly body = el("div", { class: "page" });
  private leaving: (() => void) | null = null;

  constructor(private readonly closed: () => void) {
    this.element.append(this.head, this.body);
  }

  get isOpen(): boolean {
    return !this.element.hidden;
  }

  /** Shows a page; `leave` is called when another takes its place, or none. */
  show(kind: string, title: Child[], parts: Child[], leave: (() => void) | null = null): HTMLElement {
    this.leaving?.();
    this.leaving = leave;
    this.element.hidden = false;
    document.body.classList.add("has-panel");
    this.entitle(kind, title);
    this.body.replaceChildren(...nodesOf(parts));
    this.body.scrollTop = 0;
    return this.body;
  }

  /** Says what the page is of, also while it stays. */
  entitle(kind: string, title: Child[]): void {
    this.head.replaceChildren(
      el("div", {}, el("p", { class: "kind" }, kind), el("h2", {}, ...title)),
      button("×", () => this.close(), { class: "close", attrs: { "aria-label": "Close" } }),
    );
  }

  /** Shows that something is being worked out, then what came of it, or why nothing did. */
  async work(kind: string, title: Child[], said: string, make: () => Promise<Child[]>, leave: (() => void) | null = null): Promise<void> {
    const waiting = el("p", { class: "working", attrs: { role: "status" } }, said);
    this.show(kind, title, [waiting], leave);
    const isThere = (): boolean => waiting.isConnected;
    try {
      const parts = await make();
      if (isThere()) this.body.replaceChildren(...nodesOf(parts));
    } catch (error) {
      if (isThere()) this.body.replaceChildren(el("p", { class: "doubt", attrs: { role: "alert" } }, message(error)));
    }
  }

  close(): void {
    if (!this.isOpen) return;
    this.leaving?.();
    this.leaving = null;
    this.element.hidden = true;
    document.body.classList.remove("has-panel");
    this.closed();
  }
}

export function message(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
