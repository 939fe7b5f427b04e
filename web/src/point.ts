// A point that is looked at: an item, a place on the map, or what was made of others.

import * as api from "./api";
import type { Place, PointInfo, Space } from "./api";
import type { Spot } from "./map/view";
import { quoted, signed } from "./words";

export interface PointRef {
  key: string;
  title: string;
  about: string;
  place: Place;
  /** -1 for what is no item. */
  row: number;
  spot: Spot | null;
  info: PointInfo | null;
  /** How the address names it; "" where it cannot. */
  link: string;
}

export interface Items {
  ids: string[];
  labels: string[];
  rowOf: Map<string, number>;
}

/** What an item is called: its id where its label is blank. */
export function called(label: string, id: string): string {
  return label.trim() ? label : id;
}

/** What an item is called among others, by its label and its id. */
export type Naming = (label: string, id: string) => string;

function countsOf(labels: string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const label of labels) counts.set(label, (counts.get(label) ?? 0) + 1);
  return counts;
}

/** How the items of these labels are told apart: with the id where another has the same label. */
export function namingOf(labels: string[]): Naming {
  const counts = countsOf(labels);
  return (label, id) => (label.trim() && (counts.get(label) ?? 0) > 1 ? `${label} (${id})` : called(label, id));
}

/** What each item is called where all are listed. */
export function distinct({ ids, labels }: Pick<Items, "ids" | "labels">): string[] {
  const naming = namingOf(labels);
  return labels.map((label, row) => naming(label, ids[row]!));
}

/** Rows by their labels, of those that are not blank and stand once. */
function rowsByName(labels: string[]): Map<string, number> {
  const counts = countsOf(labels);
  return new Map(labels.flatMap((label, row): [string, number][] => (label.trim() && counts.get(label) === 1 ? [[label, row]] : [])));
}

/** For each item of a space the row of the same one in another: of its id, else of a name that stands once in each; -1 for none. */
export function tiedRows(from: Pick<Items, "ids" | "labels">, to: Items): Int32Array {
  const [own, others] = [rowsByName(from.labels), rowsByName(to.labels)];
  const ids = new Set(from.ids);
  const byName = (label: string): number => {
    const row = own.has(label) ? others.get(label) : undefined;
    return row === undefined || ids.has(to.ids[row]!) ? -1 : row; // one of the same id is tied to that
  };
  return Int32Array.from(from.ids, (id, row) => to.rowOf.get(id) ?? byName(from.labels[row]!));
}

/** How a point is named where another stands beside it: by its expression, where that can be read at a glance, else by its title. */
export function nameOf(point: PointRef): string {
  const { expression } = point.place;
  return expression && isGlanced(expression) ? expression : point.title;
}

/** Whether a text can be read at a glance. */
export function isGlanced(text: string): boolean {
  return text.length <= 120;
}

/** Whether two places are of one vector. */
export function isSame(one: Place, other: Place): boolean {
  return one === other || JSON.stringify(one) === JSON.stringify(other);
}

export function itemPoint(items: Items, row: number, spot: Spot): PointRef {
  const id = items.ids[row]!;
  return {
    key: `item:${id}`,
    title: called(items.labels[row]!, id),
    about: "item",
    place: { expression: quoted(id) },
    row,
    spot,
    info: null,
    link: `item:${id}`,
  };
}

/** How a point is asked about: by what it is made of, else by its numbers. */
function placeOf(info: PointInfo): Place {
  return info.kind === "user" || isNamed(info) ? { expression: info.expression } : { vector: info.vector! };
}

function isNamed({ expression }: PointInfo): boolean {
  return expression !== "" && !expression.startsWith("[") && !expression.includes("sha256");
}

export async function emptyPoint(space: Space, spot: Spot): Promise<PointRef> {
  const info = await api.mapPoint(space, [spot.x, spot.y]);
  const link = `place:${spot.x.toFixed(4)},${spot.y.toFixed(4)}`;
  const [title, about] = info.made_of?.length === 1 ? ["A place on an item", "it is this item"] : ["A place between items", "made of its neighbours on the map"];
  return { key: link, title, about, place: placeOf(info), row: -1, spot, info, link };
}

export function expressionPoint(title: string, about: string, expression: string, info: PointInfo | null = null): PointRef {
  const spot = info?.map ? { x: info.map[0], y: info.map[1] } : null;
  return { key: `expr:${expression}`, title, about, place: { expression }, row: -1, spot, info, link: `expr:${expression}` };
}

/** A point of a walk or a pull: by its numbers, for what it was made of need not have an expression. */
export function madePoint(title: string, about: string, info: PointInfo): PointRef {
  const spot = info.map ? { x: info.map[0], y: info.map[1] } : null;
  return {
    key: `made:${title}:${info.expression}`,
    title,
    about,
    place: placeOf(info),
    row: -1,
    spot,
    info,
    link: isNamed(info) ? `expr:${info.expression}` : "",
  };
}

/** A point that was pulled along a concept, so many standard deviations. */
export function pulledPoint(from: PointRef, concept: string, amount: number, info: PointInfo): PointRef {
  const steps = `${amount > 0 ? "+" : "−"} ${Math.abs(amount)} ${concept}`;
  return madePoint(`${from.title} ${steps}`, `pulled ${signed(amount)} along ${concept}`, info);
}
