// What evidence is in plain words. Everything here is a pure function of what the server said.

import type { Clause, EvidencePoint, PointInfo } from "./api";
import { percent } from "./dom";

/** How far from the data a point lies. */
export function distanceInWords(percentile: number, isItem: boolean): { text: string; isDoubted: boolean } {
  const share = `${Math.floor(percentile)}%`;
  if (isItem) return { text: `A real item; ${share} of the items have nearer neighbours.`, isDoubted: false };
  if (percentile > 99) return { text: `Outside the data: farther from it than ${share} of the items. Do not trust what is said here.`, isDoubted: true };
  if (percentile > 90) return { text: `At the edge of the data: farther from it than ${share} of the items.`, isDoubted: false };
  return { text: `Inside the data: farther from it than ${share} of the items.`, isDoubted: false };
}

export function distanceOf(info: PointInfo): { text: string; isDoubted: boolean } {
  return distanceInWords(info.percentile, info.kind === "item");
}

/** The signs that a clause's probability was worked out from, a line each. */
export function reasonsOf(clause: Clause): string[] {
  const signs = clause.signs;
  if (!signs) return ["it was not weighed"];
  const lines: string[] = [];
  if (signs.lift !== null) {
    const direction = signs.lift >= 0 ? "likelier" : "less likely";
    lines.push(`The vector made its words ${Math.exp(Math.abs(signs.lift)).toFixed(1)} times ${direction} (each token) than the mean vector would.`);
  }
  if (signs.probability !== null) {
    const rate = signs.log_lift === null ? "" : `, ${Math.exp(signs.log_lift).toFixed(1)} times as much as in any text`;
    const terms = clause.terms.slice(0, 4).join(", ");
    lines.push(`The lexicon gives its words${terms ? ` (${terms})` : ""} ${percent(signs.probability)} on average${rate}.`);
  } else lines.push("The lexicon reads none of its words.");
  if (signs.agreement !== null) lines.push(`Its words come in ${percent(signs.agreement)} of the drafts.`);
  else lines.push("One draft was made, so there is no agreement to count; a careful answer makes several.");
  const lost = signs.loss;
  if (lost !== null) {
    lines.push(lost > 0 ? `Without it the answer fits the vector worse, by ${lost.toFixed(3)}.` : `Without it the answer would fit the vector no worse (${lost.toFixed(3)}).`);
  }
  return lines;
}

/** One line of evidence under an answer. */
export function evidenceLine(point: EvidencePoint, clauses: Clause[]): string {
  const weighed = clauses.filter((one) => one.probability !== null);
  const held = weighed.filter((one) => one.probability! >= 0.5).length;
  const parts = weighed.length ? [`${held} of ${weighed.length} clauses likely hold`] : [];
  parts.push(`fits its vector ${point.round_trip.toFixed(2)}, other items' ${point.swapped.toFixed(2)}`);
  const agreed = weighed.map((one) => one.signs?.agreement).filter((one): one is number => typeof one === "number");
  if (agreed.length) parts.push(`drafts agree ${percent(agreed.reduce((a, b) => a + b) / agreed.length)}`);
  return parts.join(" · ");
}

export function quoted(text: string): string {
  return `id(${JSON.stringify(text)})`;
}

/** A question that says where its point stands: at the end, unless it does already. */
export function withSlot(question: string): string {
  if (question.includes("{x}")) return question;
  return `${question.replace(/[?.!]?$/, "")} {x}${question.endsWith("?") ? "?" : "."}`;
}
