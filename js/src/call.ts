// A tool call on the page: what would run, the decision about it, and what came of it. Knows calls; decides nothing.

import { button, make, setText, tell, troubleLine } from "./dom";
import { codeBlock } from "./markdown";
import { resultOf } from "./result";
import type { Call, CallState, Decision, Part } from "./state";
import { countHidden, inOneLine, visible } from "./visible";

/** Settles when the kernel has taken the decision, or fails with the reason why not. */
export type Decide = (call: Call, decision: Decision, reason: string) => Promise<void>;

const STATES: Record<CallState, string> = {
  calling: "calling…",
  "not run": "not run",
  waiting: "waits for you",
  running: "running…",
  done: "done",
  failed: "failed",
  denied: "denied",
  stopped: "stopped",
};

/** A collapsible cell: open until it has ended well, or as the reader wants it. */
export class CallView {
  readonly kind = "call";
  readonly el = make("details", "llama-nb-call");
  private readonly summary = make("summary");
  private readonly name = make("code", "llama-nb-call-name");
  private readonly state = make("span", "llama-nb-call-state");
  private readonly code = make("div", "llama-nb-call-code");
  private readonly progress = make("p", "llama-nb-call-progress");
  private readonly approval: Approval;
  private readonly result = make("div", "llama-nb-call-result");
  private call: Call | null = null;
  private shownCode = "";
  private shownResult: readonly unknown[] = [];
  private touched = false;

  constructor(decide: Decide) {
    this.approval = new Approval(decide);
    this.summary.append(make("span", "llama-nb-call-kind", "Tool"), this.name, this.state);
    this.summary.addEventListener("click", () => {
      this.touched = true;
    });
    const body = make("div", "llama-nb-call-body");
    body.append(this.code, this.approval.el, this.progress, this.result);
    this.el.append(this.summary, body);
    this.el.addEventListener("toggle", () => this.showResult());
  }

  /** `live`: a kernel is there that can be told a decision. */
  update(part: Part, live: boolean): void {
    if (part.kind !== "call") return;
    if (part !== this.call) this.show(part);
    const focused = this.approval.el.contains(document.activeElement);
    this.approval.update(live && part.state === "waiting" ? part : null);
    if (focused && this.approval.el.hidden) this.summary.focus({ preventScroll: true });
  }

  private show(call: Call): void {
    this.call = call;
    setText(this.name, inOneLine(call.name) || "…");
    setText(this.state, stateOf(call));
    this.el.dataset["state"] = call.state;
    if (!this.touched) this.el.open = call.state !== "done";
    this.showCode(call);
    setText(this.progress, call.state === "running" ? (call.progress ?? "") : "");
    this.progress.hidden = this.progress.textContent === "";
    this.showResult();
  }

  private showCode(call: Call): void {
    const growing = this.code.querySelector("pre code");
    if (call.state === "calling" && growing) {
      setText(growing, call.text);
      return;
    }
    const shown = `${call.state === "calling"} ${call.language} ${call.text}`;
    if (shown === this.shownCode) return;
    this.shownCode = shown;
    const label = call.state === "calling" ? "" : call.language === "python" ? "python" : "arguments";
    this.code.replaceChildren(codeBlock(call.text, label, visible(call.text)));
    const hidden = countHidden(call.text);
    if (hidden) {
      const said = hidden === 1 ? "1 character that cannot be seen is" : `${hidden} characters that cannot be seen are`;
      this.code.append(make("p", "llama-nb-call-warning", `${said} spelled out as ⟨U+…⟩.`));
    }
  }

  /** Made when it is looked at: a closed cell costs nothing. */
  private showResult(): void {
    const call = this.call;
    if (!call || !this.el.open || !this.el.isConnected) return;
    const shown = [call.state === "failed", call.result, call.bundle];
    if (shown.every((value, index) => value === this.shownResult[index])) return;
    this.shownResult = shown;
    const made = resultOf(call, this.el);
    this.result.replaceChildren(...(made ? [made] : []));
  }
}

export function stateOf({ state, seconds }: Call): string {
  return seconds === undefined ? STATES[state] : `${STATES[state]} · ${duration(seconds)}`;
}

function duration(seconds: number): string {
  if (seconds < 0.9995) return `${Math.max(1, Math.round(seconds * 1000))} ms`;
  return seconds < 60 ? `${seconds.toFixed(1)} s` : `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
}

/** The buttons. What they do is decided in Python, where the call's digest is compared with what would run. */
class Approval {
  readonly el = make("form", "llama-nb-approval");
  private readonly notice = make("p", "llama-nb-approval-notice");
  private readonly once = button("Allow once", "llama-nb-allow", () => this.say("once"));
  private readonly chat = button("Allow for this chat", "llama-nb-allow-chat", () => this.say("chat"));
  private readonly reason = make("input", "llama-nb-reason");
  private readonly deny = button("Deny", "llama-nb-deny");
  private readonly trouble = troubleLine();
  private call: Call | null = null;
  private saying = false;

  constructor(private readonly decide: Decide) {
    this.el.hidden = true;
    this.el.setAttribute("role", "group");
    this.reason.setAttribute("aria-label", "Reason");
    this.reason.placeholder = "Reason, for the model";
    this.reason.maxLength = 1000;
    this.deny.type = "submit"; // so Enter in the reason denies
    const allow = make("div", "llama-nb-approval-allow");
    allow.append(this.once, this.chat);
    const deny = make("div", "llama-nb-approval-deny");
    deny.append(this.reason, this.deny);
    const row = make("div", "llama-nb-approval-row");
    row.append(allow, deny);
    this.el.append(this.notice, row, this.trouble);
    this.el.addEventListener("submit", (event) => {
      event.preventDefault();
      this.say("deny");
    });
  }

  update(call: Call | null): void {
    this.el.hidden = call === null;
    if (call === this.call) return;
    if (call === null || call.digest !== this.call?.digest || call.id !== this.call?.id) tell(this.trouble, null);
    this.call = call;
    if (!call) return;
    this.el.setAttribute("aria-label", `Decide about ${inOneLine(call.name)}`);
    this.notice.replaceChildren(...visible(call.notice ?? ""));
    this.notice.hidden = !call.notice;
    this.chat.hidden = call.lasting === false;
    this.chat.title = `Runs ${inOneLine(call.name)} in this chat from now on without asking`;
  }

  private async say(decision: Decision): Promise<void> {
    if (!this.call || this.saying) return;
    this.busy(true);
    tell(this.trouble, null);
    try {
      await this.decide(this.call, decision, decision === "deny" ? this.reason.value.trim() : "");
      this.reason.value = "";
    } catch (error) {
      tell(this.trouble, error);
    }
    this.busy(false);
  }

  /** Not `disabled`, which would lose the focus. */
  private busy(saying: boolean): void {
    this.saying = saying;
    for (const el of [this.once, this.chat, this.deny]) el.setAttribute("aria-disabled", String(saying));
  }
}
