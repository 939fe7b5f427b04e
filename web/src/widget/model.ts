// What Python and the widget share: values that both see, and messages with numbers.

import type { Evidence, PlacedName, PointInfo, SetInfo } from "../api";
import type { Meaning } from "../legend";

/** What Python told of the picked point; empty for none. */
export interface Told extends PointInfo {
  title: string;
  about: string;
  row: number;
  near_rows: number[];
}

export interface Values {
  _title: string;
  _height: number;
  _coordinates: DataView;
  _labels: DataView;
  /** The ids of the items that their labels do not tell apart, by their rows. */
  _ids: DataView;
  _names: PlacedName[][];
  _sources: Record<string, string[]>;
  _shades: DataView;
  _color: Meaning | Record<string, never>;
  _info: Told | Record<string, never>;
  _rows: DataView;
  _place: { row?: number; id?: string; xy?: [number, number]; click: number };
}

/** anywidget's model, as much of it as is used here. */
export interface Model {
  get<K extends keyof Values>(name: K): Values[K];
  set<K extends keyof Values>(name: K, value: Values[K]): void;
  save_changes(): void;
  send(content: unknown): void;
  on(event: string, call: (...args: never[]) => void): void;
  off(event: string, call: (...args: never[]) => void): void;
}

export type Reply =
  | { kind: "said"; said: string; number?: undefined }
  | { kind: "failed"; said: string; number: number }
  | { kind: "piece"; text: string; number: number }
  | { kind: "answer"; text: string; evidence: Evidence; number: number }
  | { kind: "shared"; found: SetInfo; number: number }
  | { kind: "colored"; number: number };

/** The numbers in bytes that came, wherever they lie in their buffer. */
export function bytesOf(view: DataView): ArrayBuffer {
  return view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength) as ArrayBuffer;
}

function jsonOf<T>(view: DataView): T {
  return JSON.parse(new TextDecoder().decode(bytesOf(view))) as T;
}

/** Labels of all items, and ids of those whose label is blank or another's too; "" for the others. */
export function itemsOf(model: Pick<Model, "get">): { labels: string[]; ids: string[] } {
  const labels = jsonOf<string[]>(model.get("_labels"));
  const ids = jsonOf<Record<number, string>>(model.get("_ids"));
  return { labels, ids: labels.map((_, row) => ids[row] ?? "") };
}

/** Requests to Python, each with the reply that bears its number. */
export class Requests {
  // two views of one widget hear all replies; their numbers begin apart
  private number = Math.floor(Math.random() * 2 ** 40);
  private readonly waiting = new Map<number, { piece: (text: string) => void; done: (reply: Reply) => void; fail: (error: Error) => void }>();

  constructor(private readonly model: Model) {}

  ask(content: Record<string, unknown>, piece: (text: string) => void = () => undefined): Promise<Reply> {
    const number = ++this.number;
    return new Promise((done, fail) => {
      this.waiting.set(number, { piece, done, fail });
      this.model.send({ ...content, number });
    });
  }

  /** Whether a reply was one to a request of this view. */
  hear(reply: Reply): boolean {
    const found = reply.number === undefined ? undefined : this.waiting.get(reply.number);
    if (!found) return reply.number !== undefined;
    if (reply.kind === "piece") found.piece(reply.text);
    else {
      this.waiting.delete(reply.number!);
      if (reply.kind === "failed") found.fail(new Error(reply.said));
      else found.done(reply);
    }
    return true;
  }
}
