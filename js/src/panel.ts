// The panel: transcript, composer and status line. Knows a session by its face alone; knows nothing of the wire.

import { button, make, setText, tell, troubleLine } from "./dom";
import { isOpen, type Status, type Turn, waitingCalls } from "./state";
import { type Hands, TurnView } from "./turn";
import { inOneLine } from "./visible";

/** What the panel shows, and what the reader can do. widget.ts has the real one. */
export interface Session extends Hands {
  /** Whether a kernel is there that answers; without one, a saved transcript is only read. */
  readonly live: boolean;
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
/** How long a kernel may be silent until it counts as gone. */
export const GONE_MS = 15_000;
const SUGGESTIONS = ["What can you do?", "How do I stop an answer?", "How do I use my own Llama?"];

/** Shows `session` in `root` until `signal` is aborted. */
export function show(root: HTMLElement, session: Session, signal: AbortSignal): void {
  const el = make("section", "llama-nb");
  el.setAttribute("aria-label", "Llama");
  el.dataset["lmSuppressShortcuts"] = "true";
  const transcript = new TranscriptView(session, (question) => void composer.send(question));
  const composer = new Composer(session, () => transcript.toEnd());
  const status = new StatusLine();
  const announcer = new Announcer();
  el.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !event.isComposing) composer.escape();
  });
  el.append(transcript.el, composer.el, status.el, announcer.el);
  root.append(el);
  keepFromNotebook(el);

  const update = () => {
    const focused = el.contains(document.activeElement);
    transcript.update();
    composer.update();
    status.update(session);
    announcer.update(session.turns);
    if (focused && isLost(document.activeElement, el)) composer.focus();
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

/** Whether the control that had the focus is gone: the notebook would take the next keys for its own. */
const isLost = (focused: Element | null, el: HTMLElement): boolean =>
  !el.contains(focused) || focused?.closest("[hidden], :disabled") != null;

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

  constructor(
    private readonly session: Session,
    ask: (question: string) => void,
  ) {
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

  update(): void {
    const { turns, live } = this.session;
    const circumstances = { live, busy: turns.some(isOpen) };
    const ids = new Set(turns.map((turn) => turn.id));
    for (const [id, view] of this.views) {
      if (!ids.has(id)) {
        view.el.remove();
        this.views.delete(id);
      }
    }
    turns.forEach((turn, index) => {
      const view = this.views.get(turn.id) ?? new TurnView(this.session);
      this.views.set(turn.id, view);
      if (this.log.children[index] !== view.el) this.log.insertBefore(view.el, this.log.children[index] ?? null);
      view.update(turn, circumstances);
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
    suggestions.append(button(question, "llama-nb-suggestion", () => ask(question)));
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
  private readonly trouble = troubleLine();
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
    tell(this.trouble, null);
    this.update();
    try {
      await this.session.ask(question);
      if (this.box.value === question) this.box.value = "";
      this.sent();
    } catch (error) {
      tell(this.trouble, error);
    }
    this.sending = false;
    this.edited();
  }

  focus(): void {
    this.box.focus({ preventScroll: true });
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
  private readonly context = make("span", "llama-nb-context");
  private readonly fill = make("meter", "llama-nb-meter");
  private readonly tokens = make("span");
  private readonly figures = make("span", "llama-nb-figures");

  constructor() {
    this.said.setAttribute("role", "status");
    this.progress.setAttribute("aria-label", "Loading");
    this.progress.max = 1;
    this.said.append(make("span", "llama-nb-dot"), this.model, this.doing);
    this.context.title = "How much of the model's context the conversation takes";
    this.fill.setAttribute("aria-label", "Context");
    this.context.append(this.fill, this.tokens);
    this.el.append(this.said, this.progress, this.figures, this.context);
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
    this.context.hidden = !status.context;
    if (status.context) {
      const { prompt_tokens: used, max_seq_len: most } = status.context;
      Object.assign(this.fill, { max: most, high: 0.85 * most, value: used });
      setText(this.tokens, `${counted(used)} of ${counted(most)} tokens`);
    }
  }
}

const counted = (number: number) => number.toLocaleString("en-US");

/** Says once of each call that it waits, to who cannot see it. The transcript itself is silent until a turn has ended. */
class Announcer {
  readonly el = make("p", "llama-nb-hidden");
  private readonly said = new Set<string>();

  constructor() {
    this.el.setAttribute("role", "alert");
  }

  update(turns: readonly Turn[]): void {
    const waiting = waitingCalls(turns);
    const news = waiting.filter((call) => !this.said.has(`${call.id} ${call.digest}`));
    for (const call of news) this.said.add(`${call.id} ${call.digest}`);
    if (news.length) {
      const names = news.map((call) => inOneLine(call.name)).join(", ");
      setText(this.el, `The tool ${names} waits for you: allow or deny it in its cell.`);
    } else if (!waiting.length) setText(this.el, "");
  }
}

type Tone = "calm" | "ready" | "working" | "trouble";

export function doingOf({ waited, stopping, status, turns }: Session): [Tone, string] {
  if (stopping && waited >= INTERRUPT_MS) return ["trouble", "The kernel is busy: press ■ to interrupt"];
  if (waited >= GONE_MS) return ["trouble", "The kernel does not answer"];
  if (waited >= BUSY_MS) return ["trouble", "The kernel is busy…"];
  if (stopping) return ["working", "Stopping…"];
  if (status.phase === "loading") return ["working", sentence("Loading", status.detail)];
  if (waitingCalls(turns).length) return ["working", "Waits for your decision"];
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
