// What evidence is in plain words. Everything here is a pure function of what the server said.

import type { Clause, EvidencePoint, PointInfo, Task, Tasks, Term } from "./api";
import type { Proved } from "./conversation";
import { counted, fixed, percent } from "./dom";

/** How far from the data a point lies. */
export function distanceInWords(percentile: number, isItem: boolean): { text: string; isDoubted: boolean } {
  const share = `${Math.floor(percentile)}%`;
  if (isItem) return { text: `A real item; ${share} of the items have nearer neighbours.`, isDoubted: false };
  if (percentile > 99) return { text: `Outside the data: farther from it than ${share} of the items. Do not trust what is said here.`, isDoubted: true };
  if (percentile > 90) return { text: `At the edge of the data: farther from it than ${share} of the items.`, isDoubted: false };
  return { text: `Inside the data: farther from it than ${share} of the items.`, isDoubted: false };
}

export function distanceOf(info: PointInfo): { text: string; isDoubted: boolean } {
  const far = distanceInWords(info.percentile, info.kind === "item");
  // a place with a doubt has nothing near it: it is not inside, though a blend of far items may be
  const isAlone = Boolean(info.made_of) && info.notes.length > 0 && !far.isDoubted;
  return isAlone ? { ...far, text: `Its vector is farther from the data than ${Math.floor(info.percentile)}% of the items.` } : far;
}

/** A share that is no zero however small it is. */
export function smallShare(share: number): string {
  return share < 0.01 ? "under 1%" : percent(share);
}

/** How a term is written and asked for: a value with its column, for its word alone may read otherwise. */
export function termName({ term, column }: Pick<Term, "term" | "column">): string {
  return column ? `${term} (${column})` : term;
}

export interface Piece {
  text: string;
  isUnread: boolean;
}

const LETTER = /[\p{L}\p{N}]/u;

/** A clause in pieces, of which some no vector is read for. */
export function piecesOf(text: string, unread: string[]): Piece[] {
  const marked = new Uint8Array(text.length);
  for (const one of unread) {
    for (let at = one ? text.indexOf(one) : -1; at >= 0; at = text.indexOf(one, at + one.length)) {
      const end = at + one.length;
      // a part of a longer word is another word
      const isPart = (LETTER.test(one[0]!) && LETTER.test(text[at - 1] ?? "")) || (LETTER.test(one.at(-1)!) && LETTER.test(text[end] ?? ""));
      if (!isPart) marked.fill(1, at, end);
    }
  }
  const pieces: Piece[] = [];
  for (let at = 0, end = 0; at < text.length; at = end) {
    while (end < text.length && marked[end] === marked[at]) end++;
    pieces.push({ text: text.slice(at, end), isUnread: marked[at] === 1 });
  }
  return pieces;
}

/** That some of a clause may be invented; "" where nothing is. */
export function unreadInWords({ unread }: Pick<Clause, "unread">): string {
  return unread.length ? `Not read from the vector, may be invented: ${unread.join(", ")}.` : "";
}

/** Of how many items a description is, and of how many of the space they are drawn. */
export interface Drawn {
  count: number;
  total: number;
}

/** Of what a set's description is, in sentences; `drawn` is the whole set, where it was too large to be read whole. */
export function sizeInWords(found: { num_items: number; share: number }, drawn: Drawn | null): string[] {
  const [count, share] = drawn ? [drawn.count, drawn.count / drawn.total] : [found.num_items, found.share];
  const whole = `${counted(count, "item")}, ${(100 * share).toFixed(1)}% of the space.`;
  return drawn ? [whole, `They are too many to be read whole: what follows is of ${counted(found.num_items, "item")}, drawn evenly of the ${drawn.count.toLocaleString("en")}.`] : [whole];
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
    lines.push(lost > 0 ? `Without it the answer fits the vector worse, by ${fixed(lost, 3)}.` : `Without it the answer would fit the vector no worse (${fixed(lost, 3)}).`);
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

/** A question as it is asked: "it" is the point. One that does not name it goes as it is; the server puts the point behind it. */
export function withSlot(question: string): string {
  if (question.includes("{x}")) return question;
  return question.replace(/(?<![\p{L}\p{N}'’-])it(s?)(?![\p{L}\p{N}'’-])/iu, (_, s) => (s ? "{x}'s" : "{x}"));
}

export function signed(amount: number): string {
  return amount > 0 ? `+${amount}` : amount < 0 ? `−${-amount}` : "0";
}

const DESCRIBING = new Set(["summary", "long_description", "user_profile"]);
/** Moods are of what is told or played; a space without them has no such tasks. */
const OF_MOOD = new Set(["funnier", "sadder", "scarier"]);

/** Tasks that make sense of a point: all that the reader was taught, else those that describe. */
export function fittingTasks({ tasks, learned }: Tasks, isPerson: boolean): Task[] {
  return tasks.filter((one) => one.of_person === isPerson && one.slots.length === 1 && (learned || DESCRIBING.has(one.name)));
}

/** Questions that are offered as buttons. */
export function quickQuestions({ tasks, learned }: Tasks, isPerson: boolean): string[] {
  if (isPerson) return [];
  const others = learned ? ["Who would like it?"] : [];
  const moods = learned && tasks.some((one) => OF_MOOD.has(one.name)) ? ["What is the mood of it?"] : [];
  return ["Describe it.", ...moods, ...others];
}

const COMMON = new Set("about after also been from gets have into only other over some than that their them then there they this what when where which while with your".split(" "));

function wordsOf(text: string): Set<string> {
  const found = text.toLowerCase().match(/[\p{L}\p{N}]{4,}/gu) ?? [];
  return new Set(found.filter((one) => !COMMON.has(one)));
}

/** By how much an answer has to fit its vector better than other items' to be about it. */
const CLEAR = 0.1;

/** What an answer about another vector proves of the first: whether each fits its own, and how alike they are. */
export function proofInWords(first: Proved, second: Proved): { text: string; more: string; isDoubted: boolean } {
  const [own, other] = [wordsOf(first.text), wordsOf(second.text)];
  const common = [...own].filter((one) => other.has(one)).length;
  const more = `${common} of the ${own.size} words of the answer above (of four letters or more) stand in this one; two different items normally share few.`;
  const fits = `the answer above ${fixed(first.fit, 2)} (other items' vectors ${fixed(first.others, 2)}), this one ${fixed(second.fit, 2)} (others' ${fixed(second.others, 2)})`;
  if (!own.size || common >= own.size / 2) {
    return { text: `The answers are much alike, so the vector decided little of them. How well each fits its vector: ${fits}.`, more, isDoubted: true };
  }
  if (first.fit - first.others < CLEAR) {
    return { text: `The answer above fits its vector hardly better than other items' vectors. How well each fits its own: ${fits}.`, more, isDoubted: true };
  }
  const limit = "That does not say that each of its clauses is true: the weak ones are marked.";
  return { text: `The vector decided the answer above: asked of another vector, another answer came. How well each fits its own: ${fits}.`, more: `${limit} ${more}`, isDoubted: false };
}

/** As many ids as a request may hold, evenly from all of them, so that no part of a space is left out. */
export function sampled(ids: string[], most = 200_000, letters = 6_000_000): string[] {
  const all = ids.reduce((sum, one) => sum + JSON.stringify(one).length + 1, 0);
  const count = Math.min(ids.length, most, Math.max(1, Math.floor((ids.length * letters) / Math.max(all, 1))));
  return count === ids.length ? ids : Array.from({ length: count }, (_, n) => ids[Math.floor((n * ids.length) / count)]!);
}

/** Below so many ratings what is read of a person is only what they may like (FEW_RATINGS of the library). */
const FEW_RATINGS = 10;

/** Whether an expression is of a person of whom too few ratings are known to say how much. */
export function isLittleKnown(expression: string): boolean {
  const unquoted = expression.replace(/"(?:[^"\\]|\\.)*"/g, "");
  // a colon stands between each item and its rating
  return /^\s*user\(\s*\{/.test(unquoted) && unquoted.split(":").length - 1 < FEW_RATINGS;
}

export function quoted(text: string): string {
  return `id(${JSON.stringify(text)})`;
}

/** What is wrong with the letters of a key; "" for nothing. */
export function faultOfKey(text: string): string {
  if (!text) return "Type the key that the server was started with.";
  const odd = [...text].find((letter) => letter < " " || letter > "\xff" || (letter > "~" && letter < "\xa0"));
  return odd ? `A key has no letter such as “${odd}”: look at the keyboard, and type it again.` : "";
}
