// The server's routes. Every call goes to the server that the page came from, and to no other.

export interface Space {
  model: string;
  name: string;
  /** Of its content: goes with every call, so that no answer is of what another space has at the same name. */
  digest: string;
  num_items: number;
  dim: number;
  /** What made its vectors from texts; "" where that is not known. */
  encoder: string;
  num_users: number;
  concepts: string[];
  num_regions: number;
  caution: string;
}
export interface Near {
  id: string;
  label: string;
  similarity: number;
}
export interface Term {
  term: string;
  probability: number;
  rate: number;
  column: string;
  lift: number;
}
export interface PointInfo {
  expression: string;
  kind: string;
  percentile: number;
  nearest: Near[];
  words: Term[];
  map: [number, number] | null;
  notes: string[];
  vector?: number[];
  gap?: number;
  made_of?: { id: string; label: string; weight: number }[];
  amount?: number;
  share?: number;
}
/** What a request says of a point: an expression or numbers. */
export interface Place {
  expression?: string;
  vector?: number[];
  kind?: "item" | "user";
}
export interface PlacedName {
  number: number;
  name: string;
  x: number;
  y: number;
  num_items: number;
}
export interface Colors {
  source: string;
  name: string;
  names: string[];
  range: [number, number];
  shades: string;
}
export interface Clause {
  text: string;
  probability: number | null;
  terms: string[];
  /** What of it no vector is read for, such as names and numbers. */
  unread: string[];
  signs: Record<"lift" | "probability" | "log_lift" | "least" | "agreement" | "loss", number | null> | null;
}
export interface EvidencePoint {
  slot: string;
  expression: string;
  label: string;
  nearest: Near[];
  words: Term[];
  percentile: number;
  round_trip: number;
  swapped: number;
  is_item: boolean;
  is_user: boolean;
  is_outside: boolean;
  is_clear: boolean;
  held_out: boolean;
}
export interface Evidence {
  trusted: boolean;
  reasons: string[];
  clauses: Clause[];
  points: EvidencePoint[];
  direct: { probability: number | null } | null;
  notes: string[];
}
export interface SharedWord {
  term: string;
  column: string;
  share: number;
  of_first: number;
  of_second: number;
  rank_without: number;
}
export interface Why {
  first: string;
  second: string;
  score: number;
  nearer_than: number;
  rank: number;
  num_items: number;
  common: number;
  rest: number;
  words: SharedWord[];
  verdict: string;
  is_found: boolean;
}
export interface Taste {
  term: string;
  column: string;
  percentile: number;
  items: string[];
}
export interface Tastes {
  expression: string;
  more: Taste[];
  less: Taste[];
  like: string[];
  unlike: string[];
  num_people: number;
  left_out: number;
}
export interface Task {
  name: string;
  question: string;
  slots: string[];
  of_person: boolean;
}

export interface Tasks {
  tasks: Task[];
  /** Whether the reader learned them on this space. */
  learned: boolean;
}

export class Refused extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

const KEY = "vecspeak-key";

export const key = {
  get: (): string => sessionStorage.getItem(KEY) ?? "",
  set: (value: string): void => sessionStorage.setItem(KEY, value),
};

/** A route, and of which contents of its spaces it is asked. */
interface Address {
  path: string;
  digests: string[];
}

let locked = (): void => undefined;

/** Calls something once the server refuses the key, or wants one. */
export function whenLocked(ask: () => void): void {
  locked = ask;
}

function headersOf(digests: string[], hasBody: boolean): Record<string, string> {
  return {
    ...(key.get() ? { authorization: `Bearer ${key.get()}` } : {}),
    ...(hasBody ? { "content-type": "application/json" } : {}),
    ...(digests.length ? { "if-match": digests.map((one) => `"${one}"`).join(", ") } : {}),
  };
}

async function call(to: string | Address, body?: unknown, signal?: AbortSignal): Promise<Response> {
  const { path, digests } = typeof to === "string" ? { path: to, digests: [] } : to;
  const reply = await fetch(path, {
    method: body === undefined ? "GET" : "POST",
    headers: headersOf(digests, body !== undefined),
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    ...(signal ? { signal } : {}),
  }).catch(unanswered);
  if (reply.ok) return reply;
  if (reply.status === 401) locked();
  if (reply.status === 412) throw new Refused(412, "The space has changed since this page was opened: reload the page.");
  const found = await reply.json().catch(() => null);
  throw new Refused(reply.status, found?.error?.message ?? `the server answered ${reply.status}`);
}

/** A failure of the connection in words of ours; what was stopped here stays what it is. */
function unanswered(error: unknown): never {
  if (error instanceof DOMException && error.name === "AbortError") throw error;
  throw new Refused(0, "The server does not answer: look whether it still runs, then try again.");
}

async function json<T>(to: string | Address, body?: unknown, signal?: AbortSignal): Promise<T> {
  return (await call(to, body, signal)).json().catch(unanswered) as Promise<T>;
}

function route(space: Space, rest: string, query: Record<string, string> = {}): Address {
  const asked = new URLSearchParams({ model: space.model, ...query });
  return { path: `/v1/spaces/${encodeURIComponent(space.name)}${rest}?${asked}`, digests: [space.digest] };
}

export async function spaces(): Promise<Space[]> {
  const { data } = await json<{ data: { id: string }[] }>("/v1/models");
  const found = await Promise.all(
    data.map(async ({ id }) => {
      const { spaces } = await json<{ spaces: Omit<Space, "model">[] }>(`/v1/spaces?model=${encodeURIComponent(id)}`);
      return spaces.map((one) => ({ ...one, model: id }));
    }),
  );
  return found.flat();
}

/** The map's coordinates; while it is being laid out, `waiting` is told and the question asked again, as long as it is wanted. */
export async function coordinates(space: Space, waiting: (why: string) => void, isWanted: () => boolean): Promise<Float32Array> {
  for (;;) {
    try {
      return new Float32Array(await (await call(route(space, "/map/coordinates"))).arrayBuffer());
    } catch (error) {
      if (!(error instanceof Refused) || error.status !== 503 || !isWanted()) throw error;
      waiting(error.message);
      await new Promise((done) => setTimeout(done, 2000));
    }
  }
}

export const mapLabels = (space: Space) => json<{ levels: PlacedName[][] }>(route(space, "/map/labels"));
export const labels = (space: Space) => json<{ ids: string[]; labels: string[] }>(route(space, "/labels"));
export const colorSources = (space: Space) =>
  json<{ sources: Record<string, string[]> }>(route(space, "/colors"));
export const colors = (space: Space, source: string, name: string, signal?: AbortSignal) =>
  json<Colors>(route(space, `/colors/${source}`, { name }), undefined, signal);
export const tasks = (space: Space) => json<Tasks>(route(space, "/tasks"));
export const ownText = (space: Space, id: string) =>
  json<{ text: string; facts: Record<string, unknown> }>(route(space, "/texts", { id }));
export const point = (space: Space, place: Place, signal?: AbortSignal) =>
  json<PointInfo>(route(space, "/points"), { ...place, nearest: 8, words: 10 }, signal);
export const mapPoint = (space: Space, xy: [number, number], signal?: AbortSignal) =>
  json<PointInfo>(route(space, "/map/points"), { xy, nearest: 8, words: 10 }, signal);
export const walk = (space: Space, first: Place, second: Place, steps: number) =>
  json<{ steps: PointInfo[] }>(route(space, "/walks"), { first, second, steps, nearest: 8, words: 8 });
export const pull = (space: Space, start: Place, concept: string, amounts: number[]) =>
  json<{ caution: string; steps: PointInfo[] }>(route(space, "/pulls"), {
    start,
    concept,
    amounts,
    nearest: 8,
    words: 10,
  });
export const why = (space: Space, first: Place, second: Place) =>
  json<Why>(route(space, "/why"), { first, second });
export const tastes = (space: Space, place: Place) => json<Tastes>(route(space, "/tastes"), { ...place, kind: "user" });
export const describeSet = (space: Space, ids: string[], reader: boolean, signal?: AbortSignal) =>
  json<SetInfo>(route(space, "/sets"), { ids, reader }, signal);
export const describeRegion = (space: Space, number: number, signal?: AbortSignal) =>
  json<SetInfo>(route(space, `/regions/${number}`), undefined, signal);
export const compare = (old: Space, now: Space) =>
  json<Migration>({ path: "/v1/compare", digests: [old.digest, now.digest] }, {
    old: { model: old.model, space: old.name },
    new: { model: now.model, space: now.name },
    count: 20,
  });

export interface Feature {
  column: string;
  name: string;
  inside: number;
  outside: number;
}
export interface Contrast {
  values: Feature[];
  words: Feature[];
}
export interface SetInfo {
  name: string;
  title: string;
  num_items: number;
  share: number;
  words: Term[];
  shared: Contrast;
  apart: Contrast;
  around: string;
  geometry: { typical: Near[]; edge: Near[] };
  flags: string[];
}
export interface Moved {
  id: string;
  label: string;
  recall: number;
  old: string[];
  new: string[];
}
export interface Migration {
  num_shared: number;
  k: number;
  recall: { value: number; low: number; high: number };
  recall_by_chance: number;
  /** Items that lie farther from where a linear map of the old space puts them than the others' spread explains. */
  num_moved: number;
  moved: Moved[];
  /** Examples by how many neighbours are kept: fewest, and the middle. */
  changed: Moved[];
}

/** Splits a stream of server-sent events into their data. */
export function dataOf(): (piece: string) => string[] {
  let left = "";
  return (piece) => {
    const parts = (left + piece).split("\n\n");
    left = parts.pop() ?? "";
    return parts.flatMap((part) =>
      part
        .split("\n")
        .filter((line) => line.startsWith("data: "))
        .map((line) => line.slice(6)),
    );
  };
}

export interface Asked {
  space: Space;
  question: string;
  task: string;
  effort: string;
  place: Place;
}

/** Asks a question; pieces of the answer go to `piece` as they are made. Aborting the signal ends the generation. */
export async function ask(asked: Asked, piece: (text: string) => void, signal: AbortSignal): Promise<Evidence> {
  const { model, name, digest } = asked.space;
  const point = { type: "embedding", space: name, slot: "x", ...asked.place };
  const text = asked.task ? [] : [{ type: "text", text: asked.question }];
  const reply = await call(
    { path: "/v1/chat/completions", digests: [digest] },
    {
      model,
      stream: true,
      max_tokens: 96,
      messages: [{ role: "user", content: [...text, point] }],
      vecspeak: { effort: asked.effort, ...(asked.task ? { task: asked.task } : {}) },
    },
    signal,
  );
  const reader = reply.body!.getReader();
  const decoder = new TextDecoder();
  const split = dataOf();
  let evidence: Evidence | null = null;
  for (;;) {
    const { done, value } = await reader.read().catch(unanswered);
    if (done) break;
    for (const data of split(decoder.decode(value, { stream: true }))) {
      if (data === "[DONE]") continue;
      const event = JSON.parse(data);
      if (event.error) throw new Refused(event.error.status ?? 500, event.error.message);
      const delta = event.choices[0]?.delta ?? {};
      if (delta.content) piece(delta.content);
      if (delta.evidence) evidence = delta.evidence as Evidence;
    }
  }
  if (!evidence) throw new Refused(500, "the answer broke off; ask again");
  return evidence;
}
