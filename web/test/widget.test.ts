import { expect, test } from "vitest";
import { blended, disc, drawPoints } from "../src/map/raster";
import { bytesOf, itemsOf, Requests, type Model, type Reply } from "../src/widget/model";
import { lightness } from "../src/widget/theme";
import { distinct } from "../src/point";
import { withSlot } from "../src/words";

function asked(): { requests: Requests; sent: { number: number; kind: string }[] } {
  const sent: { number: number; kind: string }[] = [];
  const model = { send: (content: never) => sent.push(content) } as unknown as Model;
  return { requests: new Requests(model), sent };
}

test("a reply goes to the request of its number, its pieces before it, and a failure is an error", async () => {
  const { requests, sent } = asked();
  const pieces: string[] = [];
  const first = requests.ask({ kind: "ask", question: "Describe {x}." }, (text) => pieces.push(text));
  const second = requests.ask({ kind: "share" });
  const [one, two] = sent.map((content) => content.number);
  expect(one).not.toBe(two);
  requests.hear({ kind: "piece", text: "A ", number: one! });
  requests.hear({ kind: "piece", text: "boy.", number: one! });
  requests.hear({ kind: "failed", said: "there is nothing to share", number: two! });
  requests.hear({ kind: "answer", text: "A boy.", number: one! } as Reply);
  expect(await first).toMatchObject({ text: "A boy." });
  expect(pieces.join("")).toBe("A boy.");
  await expect(second).rejects.toThrow("there is nothing to share");
});

test("a reply to another view of the widget is none of ours, a remark is for every view", () => {
  const { requests } = asked();
  expect(requests.hear({ kind: "colored", number: -5 })).toBe(true);
  expect(requests.hear({ kind: "said", said: "mind this" })).toBe(false);
});

test("numbers are read wherever they lie in the buffer that came", () => {
  const buffer = new Uint8Array([9, 9, 9, 1, 0, 0, 0, 2, 0, 0, 0]).buffer;
  expect([...new Int32Array(bytesOf(new DataView(buffer, 3)))]).toEqual([1, 2]);
});

test("ids come of the items that their labels do not tell apart", () => {
  const view = (value: unknown) => new DataView(new TextEncoder().encode(JSON.stringify(value)).buffer as ArrayBuffer);
  const values: Record<string, DataView> = { _labels: view(["Up", "same", "same", " "]), _ids: view({ 1: "b", 2: "c", 3: "d" }) };
  const items = itemsOf({ get: (name: string) => values[name] } as never);
  expect(items.ids).toEqual(["", "b", "c", "d"]);
  expect(distinct(items)).toEqual(["Up", "same (b)", "same (c)", "d"]);
});

test("dark is dark, and what is clear says nothing", () => {
  expect(lightness("rgb(17, 17, 17)")).toBeLessThan(0.1);
  expect(lightness("rgba(255, 255, 255, 1)")).toBeCloseTo(1);
  for (const css of ["rgba(0, 0, 0, 0)", "transparent", "", "color(srgb 1 1 1)"]) expect(lightness(css)).toBeNull();
});

test("what is not selected fades towards what is behind it, and is drawn under what is", () => {
  expect(blended(0xff0000ff, 0xffffffff, 1)).toBe(0xff0000ff);
  expect(blended(0xff0000ff, 0xffffffff, 0)).toBe(0xffffffff);
  expect(blended(0xff204060, 0xff000000, 0.5)).toBe(0xff102030);
  const [width, pixels] = [20, new Uint32Array(400)];
  const points = { xs: Float32Array.of(0, 0), ys: Float32Array.of(0, 0), shades: Uint8Array.of(0, 1), order: Uint32Array.of(0) };
  const palette = Uint32Array.of(0xff111111, 0xff222222);
  drawPoints(pixels, width, 20, points, palette, { x: 0, y: 0, scale: 1 }, disc(4, width), 0xffffffff);
  drawPoints(pixels, width, 20, { ...points, order: Uint32Array.of(1) }, palette, { x: 0, y: 0, scale: 1 }, disc(1, width), null);
  expect(pixels[10 * width + 10]).toBe(0xff222222);
  expect(pixels[10 * width + 7]).toBe(0xff111111);
  expect(pixels[0]).toBe(0xffffffff);
});

test("a question gets the place of its point", () => {
  expect(withSlot("What is the mood of {x}?")).toBe("What is the mood of {x}?");
  expect(withSlot("Who would like it?")).toBe("Who would like {x}?");
  expect(withSlot("Describe")).toBe("Describe");
});
