// Text in letters that can all be seen: what decides about a call must not hide in it. Knows characters only.

// Controls, formats (bidi, zero width), lone surrogates, private and unassigned ones, whatever may be ignored, separators,
// odd spaces, and a Braille cell without a dot. The line break, the tabulator and the space are what they are.
const HIDDEN = /(?![\n\t ])[\p{C}\p{Z}\p{Default_Ignorable_Code_Point}\u2800]/gu;

/** How many characters of `text` cannot be seen, or change how their neighbours are shown. */
export const countHidden = (text: string): number => text.match(HIDDEN)?.length ?? 0;

const spelled = (character: string) => `⟨U+${character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0")}⟩`;

/** `text` on one line, as `visible` has it. */
export const inOneLine = (text: string): string => text.replace(HIDDEN, spelled).replace(/[\n\t]/g, spelled);

/** `text` as nodes, in which each of those characters is spelled out. */
export function visible(text: string): Node[] {
  const nodes: Node[] = [];
  let end = 0;
  for (const run of text.matchAll(new RegExp(`(?:${HIDDEN.source})+`, "gu"))) {
    const mark = document.createElement("span");
    mark.className = "llama-nb-unseen";
    mark.textContent = run[0].replace(HIDDEN, spelled);
    nodes.push(document.createTextNode(text.slice(end, run.index)), mark);
    end = run.index + run[0].length;
  }
  return [...nodes, document.createTextNode(text.slice(end))];
}
