// The panel: transcript, composer and status line. Knows a session by its face alone; knows nothing of the wire.

import { isOpen, type Status, type Turn } from "./state";
import { make, setText, TurnView } from "./turn";

/** What the panel shows, and what the reader can do. widget.ts has the real one. */
export interface Session {
  readonly turns: readonly Turn[];
  readonly status: Status;
  /** Milliseconds for which the oldest command has had no answer; 0 if none waits. */
  readonly waited: number;
  /** Whether this wait is for a Stop. */
  readonly stopping: boolean;
  /** The name under which a draft outlives a reload. */
  readonly name: string;
  /** Settles when the question was taken, or not. */
  ask(question: string): Promise<void>;
  stop(): void;
  onChange(listener: () => void, signal: AbortSignal): void;
}

const BUSY_MS = 1000;
const INTERRUPT_MS = 2000;
const GONE_MS = 15_000;
const SUGGESTIONS = ["What can you do?", "How do I stop an answer?", "How do I use my own Llama?"];

/** Shows `session` in `root` until `signal` is aborted. */
export function show(root: HTMLElement, session: Session, signal: AbortSignal): void {
  const el = make("section", "llama-nb");
  el.setAttribute("aria-label", "Llama");
  el.dataset["lmSuppressShortcuts"] = "true";
  const transcript = new TranscriptView((question) => void composer.send(question));
  const composer = new Composer(session, () => transcript.toEnd());
  const status = new StatusLine();
  el.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !event.isComposing) composer.escape();
  });
  el.append(transcript.el, composer.el, status.el);
  root.append(el);
  keepFromNotebook(el);

  const update = () => {
    transcript.update(session.turns);
    composer.update();
    status.update(session);
  };
  session.onChange(inNextFrame(update, signal), signal);
  update();
  signal.addEventListener("abort", () => el.remove());
}

/** Shift+Enter in the panel must not run the cell it stands in, nor a letter delete one. Ctrl+S still saves. */
function keepFromNotebook(el: HTMLElement): void {
  for (const type of ["keydown", "keyup", "keypress", "copy", "cut", "paste"]) {
    el.addEventListener(type, (event) => event.stopPropagation());
  }
  el.addEventListener("keydown", (event) => {
    const { key, code, keyCode, ctrlKey, metaKey } = event;
    if (key?.toLowerCase() !== "s" || !(ctrlKey || metaKey) || event.shiftKey || event.altKey) return;
    event.preventDefault(); // else the browser saves the page
    el.parentElement?.dispatchEvent(
      new KeyboardEvent("keydown", { key, code, keyCode, ctrlKey, metaKey, bubbles: true, cancelable: true }),
    );
  });
}

/** Many changes within a frame are drawn once. */
function inNextFrame(draw: () => void, signal: AbortSignal): () => void {
  let frame = 0;
  signal.addEventListener("abort", () => cancelAnimationFrame(frame));
  return () => {
    frame ||= requestAnimationFrame(() => {
      frame = 0;
      if (!signal.aborted) draw();
    });
  };
}

class TranscriptView {
  readonly el = make("div", "llama-nb-transcript");
  private readonly log = make("div", "llama-nb-log");
  private readonly latest = button("Latest", "llama-nb-latest");
  private readonly views = new Map<number, TurnView>();
  private readonly empty: HTMLElement;
  private following = true; // the reader is at the end, and wants to stay there

  constructor(ask: (question: string) => void) {
    this.log.setAttribute("role", "log");
    this.log.setAttribute("aria-live", "polite");
    this.log.setAttribute("aria-label", "Conversation");
    this.log.tabIndex = 0; // scrolls by keyboard
    this.empty = emptyState(ask);
    this.latest.hidden = true;
    this.latest.addEventListener("click", () => this.toEnd());
    this.log.addEventListener("scroll", () => {
      this.following = this.log.scrollHeight - this.log.scrollTop - this.log.clientHeight < 32;
      this.latest.hidden = this.following;
    });
    this.el.append(this.log, this.latest);
  }

  update(turns: readonly Turn[]): void {
    const ids = new Set(turns.map((turn) => turn.id));
    for (const [id, view] of this.views) {
      if (!ids.has(id)) {
        view.el.remove();
        this.views.delete(id);
      }
    }
    turns.forEach((turn, index) => {
      const view = this.views.get(turn.id) ?? new TurnView();
      this.views.set(turn.id, view);
      view.update(turn);
      if (this.log.children[index] !== view.el) this.log.insertBefore(view.el, this.log.children[index] ?? null);
    });
    if (turns.length === 0) this.log.append(this.empty);
    else this.empty.remove();
    if (this.following) this.log.scrollTop = this.log.scrollHeight;
    else this.latest.hidden = false;
  }

  toEnd(): void {
    this.following = true;
    this.latest.hidden = true;
    this.log.scrollTop = this.log.scrollHeight;
  }
}

function emptyState(ask: (question: string) => void): HTMLElement {
  const el = make("div", "llama-nb-empty");
  const suggestions = make("div", "llama-nb-suggestions");
  for (const question of SUGGESTIONS) {
    const suggestion = button(question, "llama-nb-suggestion");
    suggestion.addEventListener("click", () => ask(question));
    suggestions.append(suggestion);
  }
  el.append(
    make("p", "llama-nb-empty-title", "Ask your Llama"),
    make("p", "llama-nb-empty-text", "Answers stream in here while your cells keep running."),
    suggestions,
  );
  return el;
}

class Composer {
  readonly el = make("form", "llama-nb-composer");
  private readonly box = make("textarea", "llama-nb-box");
  private readonly send_ = button("Send", "llama-nb-send");
  private readonly stop = button("Stop", "llama-nb-stop");
  private readonly trouble = make("p", "llama-nb-trouble");
  private readonly draft: Draft;
  private sending = false;

  constructor(
    private readonly session: Session,
    private readonly sent: () => void,
  ) {
    this.draft = new Draft(session.name);
    this.box.setAttribute("aria-label", "Message");
    this.box.placeholder = "Ask something…";
    this.box.rows = 1;
    this.box.value = this.draft.text;
    this.send_.type = "submit";
    this.send_.title = "Send (Enter)";
    this.stop.title = "Stop (Esc)";
    this.trouble.setAttribute("role", "alert");
    this.trouble.hidden = true;

    const row = make("div", "llama-nb-row");
    row.append(this.box, this.stop, this.send_);
    this.el.append(this.trouble, row);
    this.el.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.send(this.box.value);
    });
    this.stop.addEventListener("click", () => this.session.stop());
    this.box.addEventListener("input", () => this.edited());
    this.box.addEventListener("keydown", (event) => this.key(event));
    this.edited();
  }

  update(): void {
    const busy = this.sending || this.session.turns.some(isOpen);
    if (!busy && this.stop === document.activeElement) this.box.focus();
    this.stop.hidden = !busy;
    this.send_.disabled = this.sending || this.box.value.trim() === "";
  }

  /** Asks `question`; what stands in the box stays there until it was taken. */
  async send(question: string): Promise<void> {
    if (this.sending || question.trim() === "") return;
    this.sending = true;
    this.trouble.hidden = true;
    this.update();
    try {
      await this.session.ask(question);
      if (this.box.value === question) this.box.value = "";
      this.sent();
    } catch (error) {
      this.trouble.textContent = error instanceof Error ? error.message : String(error);
      this.trouble.hidden = false;
    }
    this.sending = false;
    this.edited();
  }

  escape(): void {
    if (!this.stop.hidden) this.session.stop();
  }

  private edited(): void {
    this.draft.text = this.box.value;
    this.box.style.height = "auto";
    this.box.style.height = this.box.scrollHeight ? `${this.box.scrollHeight + 2}px` : "";
    this.update();
  }

  private key(event: KeyboardEvent): void {
    if (event.isComposing || event.keyCode === 229) return; // an input method is choosing characters
    if (event.key === "Enter" && !event.shiftKey && !event.altKey && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      void this.send(this.box.value);
    } else if (event.key === "ArrowUp" && this.box.value === "") {
      const last = this.session.turns.at(-1)?.question;
      if (last) {
        event.preventDefault();
        this.box.value = last;
        this.edited();
      }
    }
  }
}

/** What stands in the box, kept over a reload of the page. */
class Draft {
  private readonly key: string;

  constructor(name: string) {
    this.key = `llama_nb.draft.${name}`;
  }

  get text(): string {
    try {
      return sessionStorage.getItem(this.key) ?? "";
    } catch {
      return ""; // a page that may store nothing
    }
  }

  set text(text: string) {
    try {
      if (text) sessionStorage.setItem(this.key, text);
      else sessionStorage.removeItem(this.key);
    } catch {}
  }
}

class StatusLine {
  readonly el = make("div", "llama-nb-status");
  private readonly said = make("span", "llama-nb-said");
  private readonly model = make("span", "llama-nb-model");
  private readonly doing = make("span", "llama-nb-doing");
  private readonly progress = make("progress", "llama-nb-progress");
  private readonly figures = make("span", "llama-nb-figures");

  constructor() {
    this.said.setAttribute("role", "status");
    this.progress.setAttribute("aria-label", "Loading");
    this.progress.max = 1;
    this.said.append(this.model, this.doing);
    this.el.append(make("span", "llama-nb-dot"), this.said, this.progress, this.figures);
  }

  update(session: Session): void {
    const { status, turns } = session;
    const [tone, doing] = doingOf(session);
    this.el.dataset["tone"] = tone;
    setText(this.model, status.model);
    setText(this.doing, doing);
    this.progress.hidden = status.phase !== "loading";
    if (status.fraction === null) this.progress.removeAttribute("value");
    else this.progress.value = status.fraction;
    setText(this.figures, figuresOf(turns.at(-1)));
  }
}

type Tone = "calm" | "ready" | "working" | "trouble";

export function doingOf({ waited, stopping, status, turns }: Session): [Tone, string] {
  if (stopping && waited >= INTERRUPT_MS) return ["trouble", "The kernel is busy: press ■ to interrupt"];
  if (waited >= GONE_MS) return ["trouble", "The kernel does not answer"];
  if (waited >= BUSY_MS) return ["trouble", "The kernel is busy…"];
  if (stopping) return ["working", "Stopping…"];
  if (status.phase === "loading") return ["working", sentence("Loading", status.detail)];
  if (turns.some((turn) => turn.phase === "answering")) return ["working", "Answering…"];
  if (turns.some(isOpen)) return ["working", "Thinking…"];
  if (status.phase === "failed") return ["trouble", sentence("Failed", status.detail)];
  return status.phase === "ready" ? ["ready", "Ready"] : ["calm", "Loads with the first question"];
}

const sentence = (word: string, detail: string) => (detail ? `${word}: ${detail}` : `${word}…`);

export function figuresOf(turn: Turn | undefined): string {
  const { completion_tokens: tokens, tokens_per_s: speed } = turn?.figures ?? {};
  const said = [
    tokens && `${tokens} token${tokens === 1 ? "" : "s"}`,
    speed && `${speed.toFixed(speed < 10 ? 1 : 0)} tokens/s`,
  ];
  return said.filter(Boolean).join(" · ");
}

function button(name: string, className: string): HTMLButtonElement {
  const el = make("button", className, name);
  el.type = "button";
  return el;
}
