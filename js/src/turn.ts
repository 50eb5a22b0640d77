// One question and its answer on the page. Knows turns and Markdown; knows nothing of the transcript around it.

import { codeBlock, MarkdownView } from "./markdown";
import { isOpen, type Part, type Turn } from "./state";

/** The DOM of a turn, which grows with it. */
export class TurnView {
  readonly el = make("article", "llama-nb-turn");
  private readonly question = make("div", "llama-nb-question");
  private readonly answer = make("div", "llama-nb-answer");
  private readonly note = make("div", "llama-nb-note");
  private parts: PartView[] = [];
  private turn: Turn | null = null;

  constructor() {
    this.answer.append(make("h3", "llama-nb-speaker", "Llama"), this.note);
    this.el.append(make("h3", "llama-nb-speaker llama-nb-hidden", "You"), this.question, this.answer);
  }

  update(turn: Turn): void {
    if (turn === this.turn) return;
    this.turn = turn;
    this.el.dataset["phase"] = turn.phase;
    this.el.setAttribute("aria-busy", String(isOpen(turn))); // a screen reader waits for the whole answer
    setText(this.question, turn.question);
    this.question.hidden = turn.question === "";
    turn.parts.forEach((part, index) => {
      this.partView(part, index).update(part);
    });
    for (const view of this.parts.splice(turn.parts.length)) view.el.remove();
    setText(this.note, noteOf(turn));
    this.note.hidden = this.note.textContent === "";
  }

  private partView(part: Part, index: number): PartView {
    const view = this.parts[index];
    if (view?.kind === part.kind) return view;
    for (const old of this.parts.splice(index)) old.el.remove();
    const made = part.kind === "text" ? new TextView() : new CallView();
    this.note.before(made.el);
    this.parts.push(made);
    return made;
  }
}

/** What the reader should know about an answer beside its text. */
export function noteOf({ phase, parts, error }: Turn): string {
  switch (phase) {
    case "queued":
      return "Thinking…";
    case "answering":
      return "";
    case "stopped":
      return parts.length ? "Stopped" : "Stopped before it began";
    case "cut":
      return "Unfinished: out of tokens";
    case "failed":
      return error || "Failed";
    case "done":
      return parts.length ? "" : "No answer";
  }
}

interface PartView {
  readonly kind: Part["kind"];
  readonly el: HTMLElement;
  update(part: Part): void;
}

class TextView implements PartView {
  readonly kind = "text";
  readonly el = make("div", "llama-nb-text");
  private readonly markdown = new MarkdownView(this.el);

  update(part: Part): void {
    this.markdown.update(part.text);
  }
}

const STATES = { calling: "calling…", "not run": "not run", done: "done", failed: "failed", stopped: "stopped" };

/** A tool call: a collapsible cell, open until its result is there or the reader closes it. */
class CallView implements PartView {
  readonly kind = "call";
  readonly el = make("details", "llama-nb-call");
  private readonly name = make("code", "llama-nb-call-name");
  private readonly state = make("span", "llama-nb-call-state");
  private readonly body = make("div", "llama-nb-call-body");
  private part: Part | null = null;
  private touched = false;

  constructor() {
    const summary = make("summary");
    summary.append(make("span", "llama-nb-call-kind", "Tool"), this.name, this.state);
    summary.addEventListener("click", () => {
      this.touched = true;
    });
    this.el.append(summary, this.body);
  }

  update(part: Part): void {
    if (part.kind !== "call" || part === this.part) return;
    this.part = part;
    setText(this.name, part.name || "…");
    setText(this.state, STATES[part.state]);
    this.el.dataset["state"] = part.state;
    if (!this.touched) this.el.open = part.state !== "done";
    const growing = this.body.querySelector("pre code");
    if (part.state === "calling" && growing) {
      setText(growing, part.text);
      return;
    }
    this.body.replaceChildren(codeBlock(part.text, part.state === "calling" ? "" : "arguments"));
    if (part.result !== undefined) this.body.append(codeBlock(part.result, "result"));
  }
}

export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  className = "",
  text = "",
): HTMLElementTagNameMap[K] {
  const el = document.createElement(tag);
  el.className = className;
  if (text) el.textContent = text;
  return el;
}

/** Touches the page only if something changes, so that live regions and selections stay quiet. */
export function setText(el: Element, text: string): void {
  if (el.textContent !== text) el.textContent = text;
}
