// Questions and answers about each point, as long as the page is open; written out as Markdown or JSON.

import type { Evidence } from "./api";
import { percent } from "./dom";

export interface Turn {
  question: string;
  task: string;
  effort: string;
  /** What was asked about, where it is not the point itself: another item, to prove that the vector is read. */
  about: string;
  text: string;
  evidence: Evidence | null;
  error: string;
}

export interface Conversation {
  title: string;
  space: string;
  expression: string;
  turns: Turn[];
}

export const conversations = new Map<string, Conversation>();

export function asMarkdown(found: Conversation, link: string): string {
  const lines = [`# ${oneLine(found.title)}`, "", `Space ${found.space}, point \`${found.expression}\``, "", link, ""];
  for (const turn of found.turns) {
    lines.push(`## ${oneLine(turn.question)}`, "");
    if (turn.about) lines.push(`Asked of another vector instead: ${oneLine(turn.about)}`, "");
    if (turn.error) lines.push(`No answer: ${turn.error}`, "");
    lines.push(turn.text.trim(), "");
    for (const clause of turn.evidence?.clauses ?? []) {
      if (clause.probability !== null) lines.push(`- ${percent(clause.probability)} ${oneLine(clause.text)}`);
    }
    for (const point of turn.evidence?.points ?? []) {
      const near = point.nearest.map((one) => `${one.label} (${one.similarity.toFixed(2)})`).join("; ");
      const words = point.words.map((one) => `${one.term} ${one.probability.toFixed(2)}`).join("; ");
      lines.push("", `Words of the vector: ${words}`, `Nearest: ${near}`);
      lines.push(`Round trip ${point.round_trip.toFixed(2)}, with other items ${point.swapped.toFixed(2)}`);
    }
    for (const reason of turn.evidence?.reasons ?? []) lines.push("", `Doubt: ${reason}`);
    lines.push("");
  }
  return lines.join("\n");
}

export function asJson(found: Conversation, link: string): string {
  return JSON.stringify({ link, ...found }, null, 2);
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, " ").trim();
}

export function download(name: string, text: string, type: string): void {
  const made = document.createElement("a");
  made.href = URL.createObjectURL(new Blob([text], { type }));
  made.download = name;
  made.click();
  setTimeout(() => URL.revokeObjectURL(made.href), 1000);
}
