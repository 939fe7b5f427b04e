// What is looked at, in the address: whoever opens the link sees the same, and the question is asked again.

export interface Shown {
  model: string;
  space: string;
  /** x, y and scale of the map, "" for the whole. */
  view: string;
  /** item:ID, place:X,Y or expr:EXPRESSION. */
  at: string;
  questions: string[];
  /** source or source:name. */
  color: string;
  beside: string;
}

export function readHash(hash: string): Shown {
  const found = new URLSearchParams(hash.replace(/^#/, ""));
  return {
    model: found.get("model") ?? "",
    space: found.get("space") ?? "",
    view: found.get("view") ?? "",
    at: found.get("at") ?? "",
    questions: found.getAll("q"),
    color: found.get("color") ?? "",
    beside: found.get("beside") ?? "",
  };
}

export function hashOf(shown: Shown): string {
  const made = new URLSearchParams();
  for (const name of ["model", "space", "view", "at", "color", "beside"] as const) {
    if (shown[name]) made.set(name, shown[name]);
  }
  for (const question of shown.questions) made.append("q", question);
  return `#${made}`;
}
