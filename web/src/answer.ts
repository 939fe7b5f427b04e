// An answer while it is made and when it is there: clauses shaded by how likely they hold, evidence below.

import type { Clause, Evidence, EvidencePoint, Near, PointInfo, Term } from "./api";
import { isPending, provedBy, type Proved, type Turn } from "./conversation";
import { bar, button, el, fixed, name, nodesOf, percent } from "./dom";
import { shortened } from "./foreign";
import { called, type Naming } from "./point";
import { asIt, distanceInWords, distanceOf, evidenceLine, isLittleKnown, piecesOf, proofInWords, reasonsOf, smallShare, termName, unreadInWords } from "./words";

export interface AnswerActions {
  openItem(id: string): void;
  prove(turn: Turn, proves: Proved): void;
  again(turn: Turn, effort: string): void;
  glow(word: string): void;
  /** How items are told apart by their names. */
  naming: Naming;
}

/** What the looks of clauses mean; it stands below the first answer alone. */
const LOOKS = "Shaded: likelier right than wrong, dark from 70%. Pale: likelier wrong than right; dotted: below 30%. Waved: a name, number, denial or rare word, not read from the vector. Point at one to see why.";

let number = 0;

/** Whether there is something to say of a clause. */
function isNoted(clause: Clause): boolean {
  return clause.probability !== null || clause.unread.length > 0;
}

function levelOf(probability: number | null): string {
  if (probability === null) return "";
  return probability >= 0.7 ? "strong" : probability >= 0.5 ? "likely" : probability >= 0.3 ? "weak" : "faint";
}

/** A clause, shaded; its reasons are shown on hover, focus and tap. */
function clauseOf(clause: Clause): HTMLElement {
  const { probability } = clause;
  if (!isNoted(clause)) return el("span", {}, clause.text);
  const reasons = `why-${++number}`;
  const weighed = probability === null ? [] : [el("strong", {}, `Holds with a probability of ${percent(probability)}`)];
  const lines = probability === null ? [] : reasonsOf(clause);
  const unread = unreadInWords(clause);
  const note = el(
    "span",
    { class: "reasons", attrs: { role: "tooltip", id: reasons } },
    ...weighed,
    unread && el("span", { class: "invented" }, unread),
    ...lines.map((line) => el("span", { class: "reason" }, line)),
  );
  const text = clause.text.trimEnd();
  const said = probability === null ? text : `${text} (${percent(probability)})`;
  const made = el(
    "span",
    { class: `clause ${levelOf(probability)}`, attrs: { tabindex: 0, "aria-describedby": reasons, role: "note", "aria-label": said } },
    ...piecesOf(text, clause.unread).map((one) => (one.isUnread ? el("span", { class: "unread" }, one.text) : one.text)),
  );
  made.addEventListener("focus", () => placeNote(made, note));
  whilePointed(made, () => placeNote(made, note));
  return el("span", { class: "clause-box" }, made, note, clause.text.slice(text.length));
}

/** Marks an element while a pointer points at it; one that rests while the element comes under it does not point. */
function whilePointed(made: HTMLElement, begun: () => void): void {
  made.addEventListener("pointermove", (event) => {
    if (event.pointerType === "touch" || made.classList.contains("pointed")) return;
    begun();
    made.classList.add("pointed");
  });
  made.addEventListener("pointerleave", () => made.classList.remove("pointed"));
}

/** Puts a note below what it is of, or above where there is no room; no panel cuts it off. */
function placeNote(of: Element, note: HTMLElement): void {
  const box = of.getClientRects()[0] ?? of.getBoundingClientRect();
  const width = Math.min(340, innerWidth - 24);
  note.style.left = `${Math.max(12, Math.min(box.left, innerWidth - width - 24))}px`;
  const isLow = box.bottom > innerHeight - 240;
  note.style.top = isLow ? "auto" : `${box.bottom + 4}px`;
  note.style.bottom = isLow ? `${innerHeight - box.top + 4}px` : "auto";
}

/** Words to press; `isBare` leaves out how probable each is. */
export function termChips(words: Term[], glow: (word: string) => void, most = 10, isBare = false): HTMLElement {
  if (!words.length) return el("p", { class: "quiet" }, "No word is likelier of it than of any item.");
  return el(
    "ul",
    { class: "chips" },
    ...words.slice(0, most).map((one) =>
      el(
        "li",
        {},
        el(
          "button",
          {
            class: `chip${one.probability < 0.3 ? " weak" : ""}`,
            attrs: { type: "button", title: `${isBare ? "" : `${percent(one.probability)}; ${smallShare(one.rate)} of all texts have it. `}Press to colour the map by it.` },
            on: { click: () => glow(termName(one)) },
          },
          isBare ? null : bar(one.probability),
          el("span", {}, one.term, one.column && el("small", {}, ` ${one.column}`)),
          isBare ? null : el("b", {}, percent(one.probability)),
        ),
      ),
    ),
  );
}

export function nearList(near: Near[], naming: Naming, open: (id: string) => void, most = 8): HTMLElement {
  return el(
    "ol",
    { class: "near" },
    ...near.slice(0, most).map((one) => el("li", {}, button(naming(one.label, one.id), () => open(one.id)), el("span", { class: "number" }, fixed(one.similarity, 2)))),
  );
}

/** Of which items the vector of a place was made. */
function madeOf(items: NonNullable<PointInfo["made_of"]>): HTMLElement {
  const named = (one: (typeof items)[number]): HTMLElement => name(called(one.label, one.id));
  if (items.length === 1) return el("p", { class: "quiet" }, "It lies on ", named(items[0]!), ".");
  const most = items.slice(0, 3).flatMap((one, n) => [n ? ", " : "", named(one), ` ${Math.round(100 * one.weight)}%`]);
  return el("p", { class: "quiet" }, "No item lies here: the vector is made of the items around, mostly ", ...most, ".");
}

/** What is told of a point before anything is asked: how far from the data it lies, what it was made of, its words. */
export function pointFacts(info: PointInfo, glow: (word: string) => void): HTMLElement[] {
  const far = distanceOf(info);
  const parts = [
    info.kind === "user" ? null : el("p", { class: far.isDoubted ? "doubt" : "quiet distance" }, far.text),
    info.made_of && madeOf(info.made_of),
    ...info.notes.map((note) => el("p", { class: "doubt" }, note)),
    el("h3", {}, "Words of the vector"),
    termChips(info.words, glow, 10, isLittleKnown(info.expression)),
  ];
  return parts.filter((one): one is HTMLElement => Boolean(one));
}

export class AnswerView {
  readonly element = el("article", { class: "turn" });
  private readonly text = el("p", { class: "answer", attrs: { "aria-live": "polite" } });
  private readonly below = el("div", { class: "below" });

  constructor(
    readonly turn: Turn,
    private readonly actions: AnswerActions,
  ) {
    this.element.append(
      el(
        "h3",
        {},
        asIt(turn.question),
        turn.effort !== "quick" && !turn.about && el("small", {}, " several drafts"),
        turn.about && el("small", {}, " asked of the vector of ", name(shortened(turn.about, 80))),
        turn.of && el("small", {}, " of ", name(shortened(turn.of, 80))),
      ),
      this.text,
      this.below,
    );
    if (turn.about) this.element.classList.add("proof");
    this.refresh();
  }

  refresh(): void {
    const { turn } = this;
    this.element.classList.toggle("waiting", isPending(turn));
    if (turn.error) this.text.replaceChildren(el("span", { class: "doubt" }, turn.error));
    else if (turn.evidence?.clauses.length) this.text.replaceChildren(...turn.evidence.clauses.map(clauseOf));
    else this.text.replaceChildren(...nodesOf([turn.text || (turn.effort === "quick" ? "…" : "Several drafts, and the best clauses of them: about half a minute …")]));
    this.below.replaceChildren(...(turn.evidence ? this.evidence(turn.evidence) : []));
  }

  private evidence(found: Evidence): Node[] {
    const { turn, actions } = this;
    const main = found.points[0];
    const parts: Node[] = found.reasons.map((reason) => el("p", { class: "doubt" }, reason));
    const said = provedBy(turn);
    if (turn.proves) {
      const proof = proofInWords(turn.proves, said);
      parts.unshift(el("p", { class: proof.isDoubted ? "doubt" : "proved" }, proof.text), el("p", { class: "quiet" }, proof.more));
    }
    if (found.direct) parts.push(el("p", { class: "quiet" }, "Read from the vector without a language model."));
    if (found.clauses.some(isNoted)) parts.push(el("p", { class: "quiet looks" }, LOOKS));
    if (main) parts.push(this.details(main, found.clauses));
    const tools = el("div", { class: "tools" });
    if (!turn.about) tools.append(button("Prove it", () => actions.prove(turn, said), { attrs: { title: "Ask the same of another item's vector" } }));
    if (!turn.about && turn.effort === "quick") {
      tools.append(button("More careful", () => actions.again(turn, "normal"), { attrs: { title: "Several drafts, the best clauses: half a minute" } }));
    }
    parts.push(tools);
    return parts;
  }

  private details(point: EvidencePoint, clauses: Clause[]): HTMLElement {
    const far = distanceInWords(point.percentile, point.is_item);
    const origin = point.is_item ? (point.held_out ? " Nothing was fitted on this item." : " It was among the items that were fitted on.") : "";
    return el(
      "details",
      { class: "evidence" },
      el("summary", {}, evidenceLine(point, clauses)),
      el("p", { class: far.isDoubted ? "doubt" : "quiet" }, far.text + origin),
      el("h4", {}, "Words of the vector"),
      termChips(point.words, this.actions.glow),
      el("h4", {}, "Nearest items"),
      nearList(point.nearest, this.actions.naming, this.actions.openItem, 6),
    );
  }
}
