// Questions and answers about each point, as long as the page is open; written out as Markdown or JSON.

import type { Evidence, Place } from "./api";
import { percent } from "./dom";
import { markdownLine, shown } from "./foreign";
import { called } from "./point";
import { asIt, proofInWords, unreadInWords } from "./words";

/** The answer that another is held against, and how well it fits its vector and other items' vectors. */
export interface Proved {
  text: string;
  fit: number;
  others: number;
}

export interface Turn {
  /** As it was typed. */
  question: string;
  task: string;
  effort: string;
  /** The point that it was asked of; "" for one that is numbers alone. */
  expression: string;
  place: Place;
  /** What the point is called where it is not the page's own, such as one that was pulled along a concept; else "". */
  of: string;
  /** The other item that was asked about to prove that the vector is read; else "". */
  about: string;
  proves: Proved | null;
  text: string;
  evidence: Evidence | null;
  error: string;
}

/** What an answer is held against another by. */
export function provedBy({ text, evidence }: Turn): Proved {
  const main = evidence?.points[0];
  return { text, fit: main?.round_trip ?? 0, others: main?.swapped ?? 0 };
}

/** Whether an answer is still to come. */
export function isPending(turn: Turn): boolean {
  return !turn.evidence && !turn.error;
}

export interface Conversation {
  title: string;
  space: string;
  expression: string;
  turns: Turn[];
}

export const conversations = new Map<string, Conversation>();

export function asMarkdown(found: Conversation, link: string): string {
  const lines = [`# ${markdownLine(found.title)}`, "", `Space ${markdownLine(found.space)}, point ${markdownLine(found.expression)}`, "", `<${link}>`, ""];
  for (const turn of found.turns) {
    lines.push(`## ${markdownLine(asIt(turn.question))}`, "");
    if (turn.about) lines.push(`Asked of another vector instead: ${markdownLine(turn.about)}`, "");
    else if (turn.of) lines.push(`Asked of ${markdownLine(turn.of)}`, "");
    if (isPending(turn)) lines.push("No whole answer yet: it was still being made when this was written.", "");
    if (turn.error) lines.push(`No answer: ${markdownLine(turn.error)}`, "");
    lines.push(markdownLine(turn.text), "");
    for (const clause of turn.evidence?.clauses ?? []) {
      if (clause.probability !== null) lines.push(`- ${percent(clause.probability)} ${markdownLine([clause.text.trim(), unreadInWords(clause)].filter(Boolean).join(" — "))}`);
    }
    for (const point of turn.evidence?.points ?? []) {
      const near = point.nearest.map((one) => `${markdownLine(called(one.label, one.id))} (${one.similarity.toFixed(2)})`).join("; ");
      const words = point.words.map((one) => `${markdownLine(one.term)} ${one.probability.toFixed(2)}`).join("; ");
      lines.push("", `Words of the vector: ${words}`, "", `Nearest: ${near}`);
      lines.push("", `Round trip ${point.round_trip.toFixed(2)}, with other items ${point.swapped.toFixed(2)}`);
    }
    if (turn.proves && turn.evidence) {
      const proof = proofInWords(turn.proves, provedBy(turn));
      lines.push("", `Proof: ${markdownLine(proof.text)}`, "", markdownLine(proof.more));
    }
    for (const reason of turn.evidence?.reasons ?? []) lines.push("", `Doubt: ${markdownLine(reason)}`);
    lines.push("");
  }
  return lines.join("\n");
}

/** JSON that reads as it was, with hidden letters as its escapes. */
export function asJson(found: Conversation, link: string): string {
  const turns = found.turns.map((one) => (isPending(one) ? { ...one, pending: true } : one));
  const text = JSON.stringify({ link, ...found, turns }, null, 2);
  return text.replace(/[^\x00-\x7f]/g, (unit) => (shown(unit) === unit ? unit : `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`));
}

export function download(name: string, text: string, type: string): void {
  const made = document.createElement("a");
  made.href = URL.createObjectURL(new Blob([text], { type }));
  made.download = name;
  made.click();
  setTimeout(() => URL.revokeObjectURL(made.href), 1000);
}
