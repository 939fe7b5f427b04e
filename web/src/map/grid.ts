// Which point is near a place: points sorted into the cells of a uniform grid.

export class Grid {
  private readonly starts: Uint32Array;
  private readonly rows: Uint32Array;
  private readonly side: number;
  private readonly left: number;
  private readonly low: number;
  private readonly cell: number;

  constructor(
    private readonly xs: Float32Array,
    private readonly ys: Float32Array,
  ) {
    const count = xs.length;
    let [left, right, low, high] = [Infinity, -Infinity, Infinity, -Infinity];
    for (let i = 0; i < count; i++) {
      left = Math.min(left, xs[i]!);
      right = Math.max(right, xs[i]!);
      low = Math.min(low, ys[i]!);
      high = Math.max(high, ys[i]!);
    }
    this.side = Math.max(1, Math.floor(Math.sqrt(count / 2)));
    this.left = count ? left : 0;
    this.low = count ? low : 0;
    this.cell = Math.max(right - left, high - low, 1e-9) / this.side || 1;
    // counting sort by cell
    this.starts = new Uint32Array(this.side * this.side + 1);
    const cells = new Uint32Array(count);
    for (let i = 0; i < count; i++) {
      cells[i] = this.index(this.column(xs[i]!), this.line(ys[i]!));
      this.starts[cells[i]! + 1]!++;
    }
    for (let c = 0; c < this.side * this.side; c++) this.starts[c + 1]! += this.starts[c]!;
    const next = this.starts.slice();
    this.rows = new Uint32Array(count);
    for (let i = 0; i < count; i++) this.rows[next[cells[i]!]!++] = i;
  }

  private clamp(value: number): number {
    return Math.max(0, Math.min(this.side - 1, value));
  }
  private column(x: number): number {
    return this.clamp(Math.floor((x - this.left) / this.cell));
  }
  private line(y: number): number {
    return this.clamp(Math.floor((y - this.low) / this.cell));
  }
  private index(column: number, line: number): number {
    return line * this.side + column;
  }

  /** Calls `visit` with each row in the cells that a box touches, until it answers false. */
  inBox(left: number, low: number, right: number, high: number, visit: (row: number) => unknown): void {
    for (let line = this.line(low); line <= this.line(high); line++) {
      for (let column = this.column(left); column <= this.column(right); column++) {
        const cell = this.index(column, line);
        for (let at = this.starts[cell]!; at < this.starts[cell + 1]!; at++) if (visit(this.rows[at]!) === false) return;
      }
    }
  }

  /** The row nearest to a place, no farther than `reach`; -1 for none. */
  nearest(x: number, y: number, reach: number): number {
    let [best, found] = [reach * reach, -1];
    this.inBox(x - reach, y - reach, x + reach, y + reach, (row) => {
      const distance = (this.xs[row]! - x) ** 2 + (this.ys[row]! - y) ** 2;
      if (distance <= best) [best, found] = [distance, row];
    });
    return found;
  }

  /** Rows inside a polygon, by the even-odd rule. */
  inside(polygon: { x: number; y: number }[]): number[] {
    if (polygon.length < 3) return [];
    const [px, py] = [polygon.map((one) => one.x), polygon.map((one) => one.y)];
    const found: number[] = [];
    this.inBox(Math.min(...px), Math.min(...py), Math.max(...px), Math.max(...py), (row) => {
      if (isInside(polygon, this.xs[row]!, this.ys[row]!)) found.push(row);
    });
    return found;
  }
}

export function isInside(polygon: { x: number; y: number }[], x: number, y: number): boolean {
  let within = false;
  for (let i = 0, j = polygon.length - 1; i < polygon.length; j = i++) {
    const [a, b] = [polygon[i]!, polygon[j]!];
    if (a.y > y !== b.y > y && x < ((b.x - a.x) * (y - a.y)) / (b.y - a.y) + a.x) within = !within;
  }
  return within;
}
