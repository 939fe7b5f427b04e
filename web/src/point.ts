// A point that is looked at: an item, a place on the map, or what was made of others.

import * as api from "./api";
import type { Place, PointInfo, Space } from "./api";
import type { Spot } from "./map/view";
import { quoted } from "./words";

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

export function itemPoint(items: Items, row: number, spot: Spot): PointRef {
  const id = items.ids[row]!;
  return {
    key: `item:${id}`,
    title: items.labels[row]!,
    about: "item",
    place: { expression: quoted(id) },
    row,
    spot,
    info: null,
    link: `item:${id}`,
  };
}

export async function emptyPoint(space: Space, spot: Spot): Promise<PointRef> {
  const info = await api.mapPoint(space, [spot.x, spot.y]);
  const link = `place:${spot.x.toFixed(4)},${spot.y.toFixed(4)}`;
  return { key: link, title: "A place between items", about: "made of its neighbours on the map", place: { vector: info.vector! }, row: -1, spot, info, link };
}

export function expressionPoint(title: string, about: string, expression: string, info: PointInfo | null = null): PointRef {
  const spot = info?.map ? { x: info.map[0], y: info.map[1] } : null;
  return { key: `expr:${expression}`, title, about, place: { expression }, row: -1, spot, info, link: `expr:${expression}` };
}

/** A point of a walk or a pull: by its numbers, for what it was made of need not have an expression. */
export function madePoint(title: string, about: string, info: PointInfo): PointRef {
  const spot = info.map ? { x: info.map[0], y: info.map[1] } : null;
  const isNamed = info.expression !== "" && !info.expression.startsWith("[") && !info.expression.includes("sha256");
  return {
    key: `made:${title}:${info.expression}`,
    title,
    about,
    place: info.kind === "user" ? { expression: info.expression } : isNamed ? { expression: info.expression } : { vector: info.vector! },
    row: -1,
    spot,
    info,
    link: isNamed ? `expr:${info.expression}` : "",
  };
}
