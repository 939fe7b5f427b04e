// Where the map is looked at: which place is in the middle, and how many pixels a unit has.

export interface View {
  x: number;
  y: number;
  scale: number;
}

export type Spot = { x: number; y: number };

export function toScreen(view: View, width: number, height: number, x: number, y: number): Spot {
  return { x: (x - view.x) * view.scale + width / 2, y: (view.y - y) * view.scale + height / 2 };
}

export function toMap(view: View, width: number, height: number, px: number, py: number): Spot {
  return { x: (px - width / 2) / view.scale + view.x, y: view.y - (py - height / 2) / view.scale };
}

/** The view that shows all points, with some room around them. */
export function fitted(xs: Float32Array, ys: Float32Array, width: number, height: number, room = 0.9): View {
  let [left, right, low, high] = [Infinity, -Infinity, Infinity, -Infinity];
  for (let i = 0; i < xs.length; i++) {
    left = Math.min(left, xs[i]!);
    right = Math.max(right, xs[i]!);
    low = Math.min(low, ys[i]!);
    high = Math.max(high, ys[i]!);
  }
  if (!xs.length) return { x: 0, y: 0, scale: 100 };
  const scale = room * Math.min(width / Math.max(right - left, 1e-9), height / Math.max(high - low, 1e-9));
  return { x: (left + right) / 2, y: (low + high) / 2, scale };
}

/** A view whose middle lies in the middle of what so many covered pixels at the top leave free. */
export function below(covered: number, view: View): View {
  return { ...view, y: view.y + covered / 2 / view.scale };
}

/** The view after zooming by a factor with the place under a pixel staying where it is. */
export function zoomed(view: View, width: number, height: number, px: number, py: number, factor: number): View {
  const at = toMap(view, width, height, px, py);
  const scale = view.scale * factor;
  return { x: at.x - (px - width / 2) / scale, y: at.y + (py - height / 2) / scale, scale };
}

const [BESIDE, TALL] = [11, 14];

/**
 * How far to the right of its mark each text begins, in pixels: right of the mark, left of it where it would leave the
 * map or lie on an earlier text, null where neither has room.
 */
export function besides(texts: (Spot & { width: number })[], mapWidth: number): (number | null)[] {
  const taken: [Spot, number][] = [];
  return texts.map(({ x, y, width }) => {
    const isFree = (from: number): boolean =>
      from >= 2 && from + width <= mapWidth - 2 && taken.every(([other, wide]) => from + width < other.x || from > other.x + wide || Math.abs(y - other.y) >= TALL);
    const shift = [BESIDE, -BESIDE - width].find((one) => isFree(x + one));
    if (shift === undefined) return null;
    taken.push([{ x: x + shift, y }, width]);
    return shift;
  });
}

const TRIED = 16;

/**
 * Of some rows taken by chance, the one farthest from a place: an item that is neither the same nor alike. What is
 * taken depends on the seed alone; -1 where there is none.
 */
export function farRow(count: number, at: (row: number) => Spot, from: Spot | null, seed: number, left: ReadonlySet<number>): number {
  const stride = count % 7919 ? 7919 : 1; // a prime, which reaches every row
  let [best, found] = [-1, -1];
  for (let n = 0, tried = 0; n < count && tried < TRIED; n++) {
    const row = (seed + n * stride) % count;
    if (left.has(row)) continue;
    tried++;
    const spot = at(row);
    const far = from ? (spot.x - from.x) ** 2 + (spot.y - from.y) ** 2 : 0;
    if (far > best) [best, found] = [far, row];
  }
  return found;
}
