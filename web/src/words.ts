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
    const times = Math.exp(Math.abs(signs.lift)).toFixed(1);
    const direction = signs.lift >= 0 ? "likelier" : "less likely";
    lines.push(
      times === "1.0"
        ? "The vector made its words no likelier than the mean vector would."
        : `The vector made its words ${times} times ${direction} (each token) than the mean vector would.`,
    );
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

/** A question as somebody reads it: the point is called "it", or "the item" where a word stands before it. */
export function asIt(question: string): string {
  return question.replace(/(\b(?:the|this) [\p{L}-]+) \{x\}/giu, "$1").replaceAll("{x}'s", "its").replaceAll("{x}", "it");
}

/** A question as it is asked: "it" is the point, and a question that names no point gets one at its end. */
export function withSlot(question: string): string {
  if (question.includes("{x}")) return question;
  const named = question.replace(/(?<![\p{L}\p{N}'’-])it(s?)(?![\p{L}\p{N}'’-])/iu, (_, s) => (s ? "{x}'s" : "{x}"));
  if (named !== question) return named;
  const bare = question.replace(/[?.!]*$/, "");
  return question.endsWith("?") ? `${bare} of {x}?` : `${bare} {x}.`;
}

const COMMON = new Set("about after also been from gets have into only other over some than that their them then there they this what when where which while with your".split(" "));

function wordsOf(text: string): Set<string> {
  const found = text.toLowerCase().match(/[\p{L}\p{N}]{4,}/gu) ?? [];
  return new Set(found.filter((one) => !COMMON.has(one)));
}

/** What an answer about another vector proves of the first. */
export function proofInWords(first: string, second: string): { text: string; isDoubted: boolean } {
  const [own, other] = [wordsOf(first), wordsOf(second)];
  const common = [...own].filter((one) => other.has(one)).length;
  const counted = `${common} of the ${own.size} words of the first answer (of four letters or more) stand in this one`;
  return own.size > 0 && common < own.size / 2
    ? { text: `Another vector, another answer: ${counted}.`, isDoubted: false }
    : { text: `The answers are much alike: ${counted}. The vector decided little of it.`, isDoubted: true };
}

/** As many ids as a request may hold, evenly from all of them, so that no part of a space is left out. */
export function sampled(ids: string[], most = 200_000, letters = 6_000_000): string[] {
  const all = ids.reduce((sum, one) => sum + JSON.stringify(one).length + 1, 0);
  const count = Math.min(ids.length, most, Math.max(1, Math.floor((ids.length * letters) / Math.max(all, 1))));
  return count === ids.length ? ids : Array.from({ length: count }, (_, n) => ids[Math.floor((n * ids.length) / count)]!);
}

export function quoted(text: string): string {
  return `id(${JSON.stringify(text)})`;
}
