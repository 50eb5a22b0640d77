// One question and its answer on the page. Knows turns and Markdown; knows nothing of the transcript around it.

import { CallView, type Decide } from "./call";
import { button, make, setText, tell, troubleLine } from "./dom";
import { copyButton, MarkdownView } from "./markdown";
import { isOpen, type Part, type Turn } from "./state";

/** What can be done about a turn. Each promise settles when the kernel has taken the command, or fails with its reason. */
export interface Hands {
  readonly decide: Decide;
  edit(turn: number, text: string): Promise<void>;
  regenerate(turn: number): Promise<void>;
}

/** `live`: a kernel is there. `busy`: an answer is under way, in this turn or in another. */
export interface Circumstances {
  readonly live: boolean;
  readonly busy: boolean;
}

/** The DOM of a turn, which grows with it. */
export class TurnView {
  readonly el = make("article", "llama-nb-turn");
  private readonly question = make("div", "llama-nb-question");
  private readonly editing: Editing;
  private readonly answer = make("div", "llama-nb-answer");
  private readonly note = make("div", "llama-nb-note");
  private readonly edit = button("Edit", "llama-nb-act", () => this.editing.open(this.turn?.question ?? ""));
  private readonly again = button("Regenerate", "llama-nb-act", () => void this.regenerate());
  private readonly copy = copyButton("Copy answer", () => answerOf(this.turn));
  private readonly ofQuestion = make("div", "llama-nb-acts llama-nb-acts-question");
  private readonly ofAnswer = make("div", "llama-nb-acts");
  private readonly trouble = troubleLine();
  private parts: PartView[] = [];
  private turn: Turn | null = null;
  private seen = "";

  constructor(private readonly hands: Hands) {
    this.editing = new Editing(
      (text) => (this.turn ? this.hands.edit(this.turn.id, text) : Promise.resolve()),
      (open) => {
        this.question.hidden = this.ofQuestion.hidden = open;
        if (!open) this.edit.focus({ preventScroll: true });
      },
    );
    this.edit.setAttribute("aria-label", "Edit question");
    this.again.setAttribute("aria-label", "Regenerate answer");
    this.copy.className = "llama-nb-act";
    this.ofQuestion.append(this.edit);
    this.ofAnswer.append(this.copy, this.again);
    this.answer.append(make("h3", "llama-nb-speaker", "Llama"), this.note);
    const you = make("h3", "llama-nb-speaker llama-nb-hidden", "You");
    this.el.append(you, this.question, this.ofQuestion, this.editing.el, this.answer, this.ofAnswer, this.trouble);
  }

  update(turn: Turn, { live, busy }: Circumstances): void {
    const seen = `${live} ${busy}`;
    if (turn === this.turn && seen === this.seen) return;
    if (turn !== this.turn) this.show(turn);
    this.seen = seen;
    turn.parts.forEach((part, index) => {
      this.partView(part, index).update(part, live);
    });
    this.ofAnswer.hidden = isOpen(turn);
    this.copy.hidden = answerOf(turn) === "";
    this.edit.hidden = this.again.hidden = !live || turn.question === "";
    this.edit.disabled = this.again.disabled = this.editing.disabled = busy;
  }

  private show(turn: Turn): void {
    this.turn = turn;
    this.el.dataset["phase"] = turn.phase;
    this.el.setAttribute("aria-busy", String(isOpen(turn))); // a screen reader waits for the whole answer
    setText(this.question, turn.question);
    this.question.hidden = turn.question === "" || this.editing.isOpen;
    for (const view of this.parts.splice(turn.parts.length)) view.el.remove();
    setText(this.note, noteOf(turn));
    this.note.hidden = this.note.textContent === "";
  }

  private partView(part: Part, index: number): PartView {
    const view = this.parts[index];
    if (view?.kind === part.kind) return view;
    for (const old of this.parts.splice(index)) old.el.remove();
    const made =
      part.kind === "call" ? new CallView(this.hands.decide) : part.kind === "text" ? new TextView() : new NoticeView();
    this.note.before(made.el);
    this.parts.push(made);
    return made;
  }

  private async regenerate(): Promise<void> {
    if (!this.turn) return;
    tell(this.trouble, null);
    try {
      await this.hands.regenerate(this.turn.id);
    } catch (error) {
      tell(this.trouble, error);
    }
  }
}

const answerOf = (turn: Turn | null): string =>
  (turn?.parts ?? [])
    .filter((part) => part.kind === "text")
    .map((part) => part.text)
    .join("\n\n");

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
  update(part: Part, live: boolean): void;
}

class TextView implements PartView {
  readonly kind = "text";
  readonly el = make("div", "llama-nb-text");
  private readonly markdown = new MarkdownView(this.el);

  update(part: Part): void {
    this.markdown.update(part.text);
  }
}

class NoticeView implements PartView {
  readonly kind = "notice";
  readonly el = make("p", "llama-nb-notice");

  update(part: Part): void {
    setText(this.el, part.text);
  }
}

/** The question as a form: sent, it is asked in its new words, and what came after it is forgotten. */
class Editing {
  readonly el = make("form", "llama-nb-editing");
  private readonly box = make("textarea", "llama-nb-edit-box");
  private readonly send = button("Send", "llama-nb-send");
  private readonly trouble = troubleLine();
  private sending = false;

  constructor(
    private readonly edit: (text: string) => Promise<void>,
    private readonly opened: (open: boolean) => void,
  ) {
    this.el.hidden = true;
    this.box.setAttribute("aria-label", "Edited question");
    this.box.rows = 1;
    this.send.type = "submit";
    const buttons = make("div", "llama-nb-editing-row");
    buttons.append(
      make("span", "llama-nb-editing-hint", "Later turns will be forgotten."),
      button("Cancel", "llama-nb-cancel", () => this.close()),
      this.send,
    );
    this.el.append(this.box, this.trouble, buttons);
    this.box.addEventListener("input", () => this.fit());
    this.box.addEventListener("keydown", (event) => this.key(event));
    this.el.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.submit();
    });
  }

  get isOpen(): boolean {
    return !this.el.hidden;
  }

  set disabled(busy: boolean) {
    this.send.disabled = busy;
  }

  open(text: string): void {
    this.box.value = text;
    tell(this.trouble, null);
    this.el.hidden = false;
    this.opened(true);
    this.fit();
    this.box.focus();
    this.box.setSelectionRange(text.length, text.length);
  }

  private close(): void {
    this.el.hidden = true;
    this.opened(false);
  }

  private async submit(): Promise<void> {
    if (this.sending || this.send.disabled || this.box.value.trim() === "") return;
    this.sending = true;
    try {
      await this.edit(this.box.value);
      this.close();
    } catch (error) {
      tell(this.trouble, error);
    }
    this.sending = false;
  }

  private fit(): void {
    this.box.style.height = "auto";
    this.box.style.height = this.box.scrollHeight ? `${this.box.scrollHeight + 2}px` : "";
  }

  private key(event: KeyboardEvent): void {
    if (event.isComposing || event.keyCode === 229) return; // an input method is choosing characters
    if (event.key === "Escape") {
      event.stopPropagation(); // elsewhere in the panel it stops the answer
      this.close();
    } else if (event.key === "Enter" && !(event.shiftKey || event.altKey || event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      void this.submit();
    }
  }
}
