// The wire: traits, numbered messages and commands ↔ a session that the panel can show. Only this file knows anywidget.

import { keepMirror } from "./mirror";
import { GONE_MS, type Session, show } from "./panel";
import {
  type Call,
  type Conversation,
  type Decision,
  isMissing,
  isOpen,
  nothing,
  type Op,
  type Received,
  read,
  receiveOps,
  receiveSnapshot,
  start,
} from "./state";

/** What anywidget hands us; `widget_manager` only in Jupyter. */
export interface Model {
  get(name: string): unknown;
  on(name: string, listener: (value: never) => void): void;
  off(name: string, listener: (value: never) => void): void;
  send(content: unknown): void;
  readonly widget_manager?: unknown;
}

interface Message {
  seq?: number;
  ops?: Op[];
  snapshot?: unknown;
  mirror?: string;
  roll?: boolean;
  acks?: { nonce: string; error?: string }[];
}

interface Pending {
  readonly command: { command: string; nonce: string };
  readonly since: number;
  readonly settle: (error?: string) => void;
  nextTry: number;
}

const RETRY_MS = 500;

/** One for each widget, however many views it has. */
class WidgetSession implements Session {
  private received: Received = start(nothing);
  private readonly pending = new Map<string, Pending>();
  private readonly page = crypto.randomUUID?.() ?? String(Math.random());
  private readonly listeners = new Set<() => void>();
  private timer: ReturnType<typeof setTimeout> | undefined;
  private views = 0;
  private heard = false;
  readonly mirror: { text: string | null } = { text: null };

  constructor(
    private readonly model: Model,
    signal: AbortSignal,
  ) {
    const onMessage = (message: Message) => this.hear(message);
    const onState = () => this.adopt(this.model.get("state"));
    model.on("msg:custom", onMessage);
    model.on("change:state", onState);
    // A page that slept may have been counted out, or have missed the last word.
    const onLook = () => void (document.visibilityState === "visible" && this.views && this.catchUp());
    document.addEventListener("visibilitychange", onLook);
    signal.addEventListener("abort", () => {
      model.off("msg:custom", onMessage);
      model.off("change:state", onState);
      document.removeEventListener("visibilitychange", onLook);
      clearTimeout(this.timer);
    });
    this.adopt(model.get("state"));
    this.catchUp();
  }

  get turns() {
    return this.received.conversation.turns;
  }

  get status() {
    return this.received.conversation.status;
  }

  get name() {
    return String(this.model.get("mirror") ?? "");
  }

  get waited() {
    const since = [...this.pending.values()].map((pending) => pending.since);
    return since.length ? Date.now() - Math.min(...since) : 0;
  }

  get live() {
    return this.heard && this.waited < GONE_MS;
  }

  get stopping() {
    return this.waits("stop");
  }

  ask(text: string): Promise<void> {
    return this.request("ask", { text });
  }

  edit(turn: number, text: string): Promise<void> {
    return this.request("edit", { turn, text });
  }

  regenerate(turn: number): Promise<void> {
    return this.request("regenerate", { turn });
  }

  readonly decide = ({ id, digest }: Call, decision: Decision, reason: string): Promise<void> =>
    this.request("decide", { call: id ?? "", digest: digest ?? "", decision, reason });

  stop(): void {
    if (!this.stopping) this.command("stop");
  }

  onChange(listener: () => void, signal: AbortSignal): void {
    this.listeners.add(listener);
    if (this.views++ === 0 && !this.waits("snapshot")) this.catchUp();
    signal.addEventListener("abort", () => {
      this.listeners.delete(listener);
      // Nobody looks any more: the kernel need not send pieces.
      if (--this.views === 0) this.post({ command: "leave", nonce: this.nonce(), page: this.page });
    });
  }

  private hear(message: Message): void {
    const before = this.received.conversation;
    this.heard = true;
    if (message.roll && this.views) this.post({ command: "here", nonce: this.nonce(), page: this.page });
    if (message.snapshot !== undefined) this.adopt(message.snapshot);
    if (message.seq !== undefined && message.ops) this.received = receiveOps(this.received, message.seq, message.ops);
    if (isMissing(this.received)) this.catchUp();
    if (message.mirror !== undefined) this.mirror.text = message.mirror;
    for (const { nonce, error } of message.acks ?? []) {
      this.pending.get(nonce)?.settle(error);
      this.pending.delete(nonce);
    }
    if (before.turns.some(isOpen) && !this.turns.some(isOpen)) this.askForMirror();
    this.changed();
  }

  private adopt(raw: unknown): void {
    this.received = receiveSnapshot(this.received, read(raw) satisfies Conversation);
    this.changed();
  }

  private catchUp(): void {
    if (!this.waits("snapshot")) this.command("snapshot");
  }

  /** The notebook's own copy of the transcript; Jupyter forgets how to update it when the page is loaded anew. */
  private askForMirror(): void {
    if (!this.waits("mirror")) this.command("mirror");
  }

  private waits(command: string): boolean {
    return [...this.pending.values()].some((pending) => pending.command.command === command);
  }

  private request(command: string, fields: object): Promise<void> {
    return new Promise((resolve, reject) => {
      this.command(command, fields, (error) => (error === undefined ? resolve() : reject(new Error(error))));
    });
  }

  /** Sends a command, and again until it is acknowledged. Its nonce makes that harmless. */
  private command(command: string, fields: object = {}, settle: (error?: string) => void = () => {}): void {
    const sent = { command, nonce: this.nonce(), page: this.page, ...fields };
    this.pending.set(sent.nonce, { command: sent, since: Date.now(), settle, nextTry: Date.now() + RETRY_MS });
    this.post(sent);
    this.wake();
    this.changed();
  }

  private post(command: object): void {
    try {
      this.model.send(command);
    } catch {
      // The kernel is gone. What waits is tried again, and the status line says that nothing answers.
    }
  }

  private readonly wake = (): void => {
    clearTimeout(this.timer);
    if (this.pending.size === 0) return;
    const now = Date.now();
    for (const pending of this.pending.values()) {
      if (pending.nextTry > now) continue;
      // Stop is tried steadily; what can wait is tried less and less often, so that a dead kernel is left alone.
      const wait = pending.command.command === "stop" ? RETRY_MS : Math.min(15_000, now - pending.since);
      pending.nextTry = now + Math.max(RETRY_MS, wait);
      this.post(pending.command);
    }
    this.timer = setTimeout(this.wake, RETRY_MS);
    this.changed();
  };

  private nonce(): string {
    return `${this.page}:${this.count++}`;
  }
  private count = 0;

  private changed(): void {
    for (const listener of this.listeners) listener();
  }
}

interface Place {
  model: Model;
  el: HTMLElement;
}

/** anywidget calls this once for each widget: its views share the session. */
export default () => {
  let session: WidgetSession;
  return {
    initialize({ model }: { model: Model }) {
      const ended = new AbortController();
      session = new WidgetSession(model, ended.signal);
      return () => ended.abort();
    },
    render({ model, el }: Place) {
      const ended = new AbortController();
      show(el, session, ended.signal);
      keepMirror(el, session, model.widget_manager, ended.signal);
      return () => ended.abort();
    },
  };
};
