// Text that a model wrote → DOM nodes. Knows Markdown; knows nothing of turns.
//
// markdown-it only reads: nodes are made here, with createElement and textContent, from a list of known tokens. So raw
// HTML is text, an image is its address, and a link leads to http(s) or mailto or is no link.

import MarkdownIt, { type StateInline, type Token } from "markdown-it";

/** The longest block that is read as Markdown; a longer one is shown as it is. Keeps hostile text from freezing the page. */
const LONGEST_BLOCK = 12_000;

const markdown = new MarkdownIt({ html: false, linkify: false, breaks: false, maxNesting: 40 });
markdown.validateLink = (address) => safeAddress(address) !== null;
markdown.inline.ruler.before("escape", "math", readMath);

const TAGS: Record<string, keyof HTMLElementTagNameMap> = {
  paragraph_open: "p",
  blockquote_open: "blockquote",
  bullet_list_open: "ul",
  ordered_list_open: "ol",
  list_item_open: "li",
  table_open: "table",
  thead_open: "thead",
  tbody_open: "tbody",
  tr_open: "tr",
  th_open: "th",
  td_open: "td",
  em_open: "em",
  strong_open: "strong",
  s_open: "s",
};

/** `text` as nodes. */
export function render(text: string): DocumentFragment {
  const view = new MarkdownView(document.createElement("div"));
  view.update(text);
  const fragment = document.createDocumentFragment();
  fragment.append(...view.el.childNodes);
  return fragment;
}

/** Growing text in `el`. A block is made anew only when its own text has changed. */
export class MarkdownView {
  private text = "";
  private settled = 0; // characters of blocks that can change no more
  private shown: { text: string; nodes: Node[] }[] = []; // the blocks after those

  constructor(readonly el: HTMLElement) {}

  update(written: string): void {
    const text = written.replace(/\r\n?/g, "\n");
    if (text === this.text) return;
    if (!text.startsWith(this.text)) {
      this.settled = 0;
      this.shown = [];
      this.el.replaceChildren();
    }
    this.text = text;
    const open = text.slice(this.settled);
    const blocks = readBlocks(open);
    this.show(blocks.map((block, index) => ({ ...block, text: open.slice(block.start, blocks[index + 1]?.start) })));
    // A block is settled by a whole line of the next one: "1. a", "2" may yet become "1. a", "2. b".
    const wholeLines = open.lastIndexOf("\n") + 1;
    const last = blocks.findLastIndex((block) => block.start < wholeLines);
    if (last > 0) {
      this.settled += blocks[last]!.start;
      this.shown = this.shown.slice(last);
    }
  }

  private show(blocks: (Block & { text: string })[]): void {
    const changed = blocks.findIndex((block, index) => block.text !== this.shown[index]?.text);
    const kept = changed < 0 ? blocks.length : changed;
    for (const { nodes } of this.shown.splice(kept)) for (const node of nodes) (node as ChildNode).remove();
    for (const { text, nodes: make } of blocks.slice(kept)) {
      const nodes = make();
      this.el.append(...nodes);
      this.shown.push({ text, nodes });
    }
  }
}

interface Block {
  start: number; // characters from the beginning of the text that was read
  nodes(): Node[];
}

/** The blocks of `text`; no more than LONGEST_BLOCK of it is read at once, but for code, which costs nothing. */
function readBlocks(text: string): Block[] {
  if (text.length <= LONGEST_BLOCK) return parseBlocks(text);
  const code = codeLength(text);
  if (code) return [...parseBlocks(text.slice(0, code)), ...readBlocksFrom(text, code)];
  const head = text.slice(0, text.lastIndexOf("\n", LONGEST_BLOCK - 1) + 1 || LONGEST_BLOCK);
  const blocks = parseBlocks(head);
  if (blocks.length < 2) return [{ start: 0, nodes: () => [plain(head)] }, ...readBlocksFrom(text, head.length)];
  return [...blocks.slice(0, -1), ...readBlocksFrom(text, blocks.at(-1)!.start)];
}

const readBlocksFrom = (text: string, from: number): Block[] =>
  readBlocks(text.slice(from)).map((block) => ({ ...block, start: block.start + from }));

/** How long the fenced block is that `text` begins with; 0 if it begins with another. */
function codeLength(text: string): number {
  const fence = /^\n* {0,3}(?:(`{3,})[^`\n]*|(~{3,})[^\n]*)\n/.exec(text);
  if (!fence) return 0;
  const mark = (fence[1] ?? fence[2])!;
  const end = new RegExp(`^ {0,3}${mark}${mark[0]}*[ \\t]*$`, "m").exec(text.slice(fence[0].length));
  return end ? fence[0].length + end.index + end[0].length : text.length;
}

function parseBlocks(text: string): Block[] {
  const tokens = markdown.parse(text, {});
  const lineStarts = [0];
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) lineStarts.push(at + 1);
  const blocks: Block[] = [];
  for (let first = 0; first < tokens.length; ) {
    let end = first + 1;
    while (end < tokens.length && tokens[end]!.level > tokens[first]!.level) end++;
    if (tokens[first]!.nesting === 1) end++;
    const own = tokens.slice(first, end);
    blocks.push({ start: lineStarts[own[0]!.map?.[0] ?? 0] ?? text.length, nodes: () => build(own) });
    first = end;
  }
  return blocks;
}

function plain(text: string): HTMLElement {
  const el = document.createElement("p");
  el.className = "llama-nb-plain";
  el.textContent = text;
  return el;
}

function build(tokens: readonly Token[]): Node[] {
  const root = document.createDocumentFragment();
  const open: ParentNode[] = [root];
  for (const token of tokens) {
    if (token.nesting === -1) {
      if (!token.hidden && open.length > 1) open.pop();
    } else if (token.nesting === 1) {
      if (token.hidden) continue; // a paragraph of a tight list
      const el = element(token);
      open.at(-1)!.append(el);
      open.push(el);
    } else {
      open.at(-1)!.append(...leaf(token));
    }
  }
  return [...root.childNodes];
}

function element(token: Token): HTMLElement {
  if (token.type === "link_open") return link(attribute(token, "href"));
  if (token.type === "heading_open") {
    // h1 and h2 belong to the notebook.
    const el = document.createElement(`h${Math.min(6, Number(token.tag.slice(1)) + 2)}`);
    el.dataset["level"] = token.tag.slice(1);
    return el;
  }
  const el = document.createElement(TAGS[token.type] ?? "span");
  const start = Number(attribute(token, "start"));
  if (el instanceof HTMLOListElement && start) el.start = start;
  const align = /^text-align:(left|center|right)$/.exec(attribute(token, "style"))?.[1];
  if (align) el.style.textAlign = align;
  return el;
}

const attribute = (token: Token, name: string) => String(token.attrGet(name) ?? "");

function leaf(token: Token): Node[] {
  switch (token.type) {
    case "inline":
      return build(token.children ?? []);
    case "fence":
    case "code_block":
      return [codeBlock(token.content, token.info.trim().split(/\s+/)[0] ?? "")];
    case "code_inline":
      return [withText("code", token.content)];
    case "math":
      return [Object.assign(withText("code", token.content), { className: "llama-nb-math" })];
    case "hr":
      return [document.createElement("hr")];
    case "hardbreak":
      return [document.createElement("br")];
    case "softbreak":
      return [document.createTextNode("\n")];
    case "image":
      return [image(attribute(token, "src"), token.content)];
    default:
      return [document.createTextNode(token.content)];
  }
}

function withText(tag: string, text: string): HTMLElement {
  const el = document.createElement(tag);
  el.textContent = text;
  return el;
}

/** The address as a browser would understand it, with a host in ASCII; null if it must not be a link. */
export function safeAddress(address: string): string | null {
  if (!/^(https?:\/\/|mailto:)/i.test(address)) return null; // as written: no relative address, no hidden characters
  try {
    return new URL(address).href;
  } catch {
    return null;
  }
}

function link(address: string): HTMLElement {
  const href = safeAddress(address);
  if (href === null) return document.createElement("span");
  return Object.assign(document.createElement("a"), {
    href,
    title: href,
    target: "_blank",
    rel: "noopener noreferrer nofollow",
  });
}

/** An image never loads: its address could carry a secret out. It is a link that the reader may follow. */
function image(address: string, description: string): HTMLElement {
  const el = link(address);
  el.classList.add("llama-nb-image");
  el.textContent = `Image not loaded: ${description ? `${description} · ` : ""}${address}`;
  return el;
}

/** A block of code with a name and a way to copy it; `shown` in its place where the letters alone would not do. */
export function codeBlock(code: string, language = "", shown?: readonly Node[]): HTMLElement {
  const el = document.createElement("div");
  el.className = "llama-nb-code";
  const bar = document.createElement("div");
  bar.className = "llama-nb-code-bar";
  bar.append(
    withText("span", language),
    copyButton("Copy code", () => code),
  );
  const pre = document.createElement("pre");
  pre.tabIndex = 0; // long lines scroll, by keyboard too
  const letters = withText("code", shown ? "" : code.replace(/\n$/, ""));
  letters.append(...(shown ?? []));
  pre.append(letters);
  el.append(bar, pre);
  return el;
}

/** A button that copies what `text` gives; `name` is what a screen reader says. */
export function copyButton(name: string, text: () => string): HTMLButtonElement {
  const copy = withText("button", "Copy") as HTMLButtonElement;
  copy.type = "button";
  copy.setAttribute("aria-label", name);
  copy.addEventListener("click", async () => {
    copy.textContent = (await copyText(text(), copy.parentElement ?? copy)) ? "Copied" : "Not copied";
    setTimeout(() => {
      copy.textContent = "Copy";
    }, 1500);
  });
  return copy;
}

async function copyText(text: string, near: HTMLElement): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Without https, or without permission, the old way still works.
    const box = Object.assign(document.createElement("textarea"), { value: text });
    near.append(box);
    box.select();
    const copied = document.execCommand("copy");
    box.remove();
    return copied;
  }
}

// Formulas stay as they were written: \(…\), \[…\], $$…$$, and $…$ that hugs its content.
const MATH =
  /\\\([\s\S]{1,1000}?\\\)|\\\[[\s\S]{1,1000}?\\\]|\$\$[^$]{1,1000}\$\$|\$(?![\s$])[^$\n]{0,500}[^\s$\\]\$(?!\d)/y;

function readMath(state: StateInline, silent: boolean): boolean {
  MATH.lastIndex = state.pos;
  const found = MATH.exec(state.src)?.[0];
  if (!found) return false;
  if (!silent) state.push("math", "", 0).content = found;
  state.pos += found.length;
  return true;
}
