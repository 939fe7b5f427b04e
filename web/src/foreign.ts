// Texts that others wrote, as they are shown: what would turn the writing round or stay unseen is spelled out.
// The rule is that of the library (src/vecspeak/foreign.py), so that the page and the terminal show a label alike.

const FLAGS = "\\u{1f3f4}\\u{e0067}\\u{e0062}(?:\\u{e0065}\\u{e006e}\\u{e0067}|\\u{e0073}\\u{e0063}\\u{e0074}|\\u{e0077}\\u{e006c}\\u{e0073})\\u{e007f}";
const SELECTORS = "\\ufe00-\\ufe0f\\u{e0100}-\\u{e01ef}";
const HIDDEN = new RegExp(
  `(?<flag>${FLAGS})|(?<run>[\\u200c\\u200d${SELECTORS}]+)|[\\0-\\x1f\\x7f-\\x9f\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069` +
    "\\u2028\\u2029\\u200b\\u2060-\\u2065\\u206a-\\u206f\\ufeff\\ufff9-\\ufffb\\u{e0000}-\\u{e00ff}\\ud800-\\udfff]",
  "gu",
);
const SHORT_RUN = new RegExp(`^[${SELECTORS}]?[\\u200c\\u200d]?$`, "u");
const BLANKS = "\n\r\t";

/** A text with hidden letters as escapes; line breaks and tabs stay, which a page takes for blanks. */
export function shown(text: string): string {
  return text.replace(HIDDEN, (found, ...rest) => {
    const { flag, run } = rest.at(-1) as { flag?: string; run?: string };
    if (BLANKS.includes(found) || flag || (run && SHORT_RUN.test(found))) return found;
    return [...found].map(escaped).join("");
  });
}

function escaped(letter: string): string {
  const code = letter.codePointAt(0)!;
  if (code < 0x100) return `\\x${code.toString(16).padStart(2, "0")}`;
  return code < 0x10000 ? `\\u${code.toString(16).padStart(4, "0")}` : `\\U${code.toString(16).padStart(8, "0")}`;
}

/** A text for a line of a Markdown file: nothing in it makes a heading, a link, an image or markup. */
export function markdownLine(text: string): string {
  return shown(text.replace(/\s+/g, " ").trim()).replace(/[\\`*_[\]<>#|~&$]/g, "\\$&").replace(/^(?=[-+=])|(?<=^\d+)(?=[.)])/, "\\");
}

const LETTERS = new Intl.Segmenter(undefined, { granularity: "grapheme" });

/** A text of at most so many letters, as a reader counts them: no sign is cut in two. */
export function shortened(text: string, most: number): string {
  if (text.length <= most) return text;
  let [count, end] = [0, 0];
  for (const { index } of LETTERS.segment(text)) {
    if (++count === most) end = index;
    if (count > most) return `${text.slice(0, end)}…`;
  }
  return text;
}
