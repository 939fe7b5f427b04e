// What is looked at, in the address: whoever opens the link sees the same, and the questions are asked again.

import type { Space } from "./api";

/** A question as it can be asked again; a task by its name. */
export interface Question {
  question: string;
  task: string;
  effort: string;
}

export interface Shown {
  model: string;
  space: string;
  /** x, y and scale of the map, "" for the whole. */
  view: string;
  /** item:ID, place:X,Y or expr:EXPRESSION. */
  at: string;
  questions: Question[];
  /** source or source:name. */
  color: string;
  beside: string;
}

/** Parameters of questions, by how much is spent on their answers. */
const EFFORTS: Record<string, string> = { q: "quick", careful: "normal" };

function questionOf(name: string, text: string): Question[] {
  const effort = EFFORTS[name.replace(/-task$/, "")];
  if (!effort || !text.trim()) return [];
  const isTask = name.endsWith("-task");
  // the name of a task is followed by its wording
  const at = isTask ? text.indexOf(" ") : -1;
  return [isTask && at > 0 ? { question: text.slice(at + 1), task: text.slice(0, at), effort } : { question: text, task: "", effort }];
}

function parameterOf({ question, task, effort }: Question): [string, string] {
  const name = effort === "quick" ? "q" : "careful";
  return task ? [`${name}-task`, `${task} ${question}`] : [name, question];
}

/** Each question once. */
function once(questions: Question[]): Question[] {
  return [...new Map(questions.map((one) => [parameterOf(one).join(), one])).values()];
}

export function readHash(hash: string): Shown {
  const found = new URLSearchParams(hash.replace(/^#/, ""));
  return {
    model: found.get("model") ?? "",
    space: found.get("space") ?? "",
    view: found.get("view") ?? "",
    at: found.get("at") ?? "",
    questions: once([...found].flatMap(([name, text]) => questionOf(name, text))),
    color: found.get("color") ?? "",
    beside: found.get("beside") ?? "",
  };
}

export function hashOf(shown: Shown): string {
  const made = new URLSearchParams();
  for (const name of ["model", "space", "view", "at", "color", "beside"] as const) {
    if (shown[name]) made.set(name, shown[name]);
  }
  for (const one of once(shown.questions)) made.append(...parameterOf(one));
  return `#${made}`;
}

/** An item that a slider pulled along a concept. */
export interface Pull {
  id: string;
  concept: string;
  amount: number;
}

const PULLED = /^\s*id\(("(?:[^"\\]|\\.)*")\)\s*([+-])\s*(-?\d+(?:\.\d+)?)\s*\*\s*(\w+)\s*$/;

/** An expression as a pulled item has it: an id plus or minus so much of a concept of the space; null for any other. */
export function pullOf(expression: string, concepts: string[]): Pull | null {
  const [, id, sign, number, concept] = PULLED.exec(expression) ?? [];
  if (!id || !concept || !concepts.includes(concept)) return null;
  try {
    return { id: JSON.parse(id) as string, concept, amount: Number(number) * (sign === "-" ? -1 : 1) };
  } catch {
    return null; // quotes that are no text of JSON
  }
}

/** The space that a link names: the current one where it names none, null for one that the server has not. */
export function spaceNamed(model: string, name: string, all: Space[], current: Space): Space | null {
  if (!model && !name) return current;
  return all.find((one) => (!model || one.model === model) && (!name || one.name === name)) ?? null;
}
