import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Turn } from "../src/state";
import makeWidget, { type Model } from "../src/widget";

type Command = { command: string; nonce: string; page: string; text?: string };

/** What anywidget hands us, and the kernel behind it: the test says what it answers. */
class FakeModel implements Model {
  sent: Command[] = [];
  traits: Record<string, unknown> = { state: {}, mirror: "ab12" };
  private listeners = new Map<string, Set<(value: never) => void>>();

  get = (name: string) => this.traits[name];
  on = (name: string, listener: (value: never) => void) => {
    this.listeners.set(name, (this.listeners.get(name) ?? new Set()).add(listener));
  };
  off = (name: string, listener: (value: never) => void) => void this.listeners.get(name)?.delete(listener);
  send = (content: unknown) => void this.sent.push(content as Command);

  tell(message: object) {
    for (const listener of this.listeners.get("msg:custom") ?? []) (listener as (value: object) => void)(message);
  }
  acknowledge(command: string, more: object = {}) {
    const known = new Set(this.sent.filter((sent) => sent.command === command).map((sent) => sent.nonce));
    this.tell({ acks: [...known].map((nonce) => ({ nonce, ...more })) });
  }
  commands = (command: string) => this.sent.filter((sent) => sent.command === command);
}

const status = { model: "llama", phase: "ready", detail: "", fraction: null, context: null };
const turn = (fields: Partial<Turn> = {}): Turn => ({ id: 1, question: "q", parts: [], phase: "answering", ...fields });

let model: FakeModel;
let el: HTMLElement;
let widget: ReturnType<typeof makeWidget>;
let endWidget: () => void;
let endView: () => void;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date", "requestAnimationFrame", "cancelAnimationFrame"] });
  sessionStorage.clear();
  model = new FakeModel();
  widget = makeWidget();
  endWidget = widget.initialize({ model });
  el = view();
  model.acknowledge("snapshot", {});
  model.tell({ snapshot: { seq: 0, turns: [], status } });
  vi.advanceTimersByTime(50);
});

afterEach(() => {
  endView();
  endWidget();
  vi.useRealTimers();
});

function view(): HTMLElement {
  const place = document.createElement("div");
  document.body.replaceChildren(place);
  endView = widget.render({ model, el: place });
  return place;
}

const named = (name: string) =>
  [...el.querySelectorAll("button")].find((button) => button.textContent === name) as HTMLButtonElement;
const box = () => el.querySelector("textarea") as HTMLTextAreaElement;
const said = () => el.querySelector('[role="status"]')?.textContent ?? "";

function type(text: string) {
  box().value = text;
  box().dispatchEvent(new Event("input"));
}

function press(key: string, more: object = {}) {
  const event = new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, ...more });
  box().dispatchEvent(event);
  return event;
}

describe("asking", () => {
  it("sends what was typed, and empties the box when it was taken", async () => {
    type("  hello\n ");
    press("Enter");
    expect(model.commands("ask")).toMatchObject([{ text: "  hello\n " }]);
    expect(box().value).toBe("  hello\n ");
    model.acknowledge("ask");
    await vi.advanceTimersByTimeAsync(50);
    expect(box().value).toBe("");
    expect(named("Send").disabled).toBe(true);
  });

  it("keeps the draft when it was not taken, and says why", async () => {
    type("hello");
    named("Send").form?.dispatchEvent(new Event("submit", { cancelable: true }));
    model.acknowledge("ask", { error: "The question is <b>too long</b>." });
    await vi.advanceTimersByTimeAsync(50);
    expect(box().value).toBe("hello");
    expect(el.querySelector('[role="alert"]')?.textContent).toBe("The question is <b>too long</b>.");
    press("Enter");
    expect(model.commands("ask")).toHaveLength(2);
  });

  it("asks again under the same nonce while nothing answers", () => {
    type("hello");
    press("Enter");
    press("Enter"); // an impatient reader
    vi.advanceTimersByTime(10_000);
    const asks = model.commands("ask");
    expect(asks.length).toBeGreaterThan(2);
    expect(new Set(asks.map((ask) => ask.nonce)).size).toBe(1);
    expect(said()).toContain("The kernel is busy");
  });

  it("leaves other keys alone, and sends nothing while characters are chosen", () => {
    type("hello");
    for (const more of [{ shiftKey: true }, { ctrlKey: true }, { isComposing: true }, { keyCode: 229 }]) {
      expect(press("Enter", more).defaultPrevented).toBe(false);
    }
    type("   ");
    press("Enter");
    expect(model.commands("ask")).toEqual([]);
  });

  it("recalls the last question", () => {
    model.tell({ seq: 1, ops: [{ op: "turn", turn: turn({ question: "before", phase: "done" }) }] });
    press("ArrowUp");
    expect(box().value).toBe("before");
  });

  it("keeps the draft over a reload", () => {
    type("half a thought");
    endView();
    el = view();
    expect(box().value).toBe("half a thought");
  });
});

describe("stopping", () => {
  beforeEach(() => {
    model.tell({ seq: 1, ops: [{ op: "turn", turn: turn({ phase: "queued" }) }] });
    vi.advanceTimersByTime(50);
  });

  it("is offered from the moment a question waits, until the answer has ended", () => {
    expect(named("Stop").hidden).toBe(false);
    model.tell({ seq: 2, ops: [{ op: "mark", turn: 1, fields: { phase: "done" } }] });
    vi.advanceTimersByTime(50);
    expect(named("Stop").hidden).toBe(true);
    press("Escape");
    expect(model.commands("stop")).toEqual([]);
  });

  it("is tried every 500 ms until it is acknowledged, under one nonce", () => {
    press("Escape");
    named("Stop").click();
    expect(model.commands("stop")).toHaveLength(1);
    for (let tries = 2; tries < 8; tries++) {
      vi.advanceTimersByTime(500);
      expect(model.commands("stop")).toHaveLength(tries);
    }
    model.acknowledge("stop");
    vi.advanceTimersByTime(5000);
    expect(model.commands("stop")).toHaveLength(7);
    expect(new Set(model.commands("stop").map((stop) => stop.nonce)).size).toBe(1);
    named("Stop").click();
    expect(new Set(model.commands("stop").map((stop) => stop.nonce)).size).toBe(2);
  });

  it("says that the kernel is busy after a second, and what to press after two", () => {
    named("Stop").click();
    vi.advanceTimersByTime(600);
    expect(said()).toContain("Stopping…");
    vi.advanceTimersByTime(600);
    expect(said()).toContain("The kernel is busy");
    expect(said()).not.toContain("■");
    vi.advanceTimersByTime(1000);
    expect(said()).toContain("press ■ to interrupt");
    model.acknowledge("stop");
    vi.advanceTimersByTime(50);
    expect(said()).not.toContain("busy");
  });

  it("survives a kernel that is gone", () => {
    model.send = () => {
      throw new Error("the comm is disposed");
    };
    expect(() => named("Stop").click()).not.toThrow();
    expect(() => vi.advanceTimersByTime(20_000)).not.toThrow();
    expect(said()).toContain("press ■");
  });
});

describe("the wire", () => {
  it("asks for a snapshot when it begins, and again until it comes", () => {
    const fresh = new FakeModel();
    const end = makeWidget().initialize({ model: fresh });
    expect(fresh.commands("snapshot")).toHaveLength(1);
    vi.advanceTimersByTime(5000);
    expect(fresh.commands("snapshot").length).toBeGreaterThan(1);
    end();
  });

  it("asks for a snapshot when a message is missing, and goes on from there", () => {
    const before = model.commands("snapshot").length;
    model.tell({ seq: 2, ops: [{ op: "piece", turn: 1, part: 0, text: "b" }] });
    expect(model.commands("snapshot")).toHaveLength(before + 1);
    model.tell({ seq: 3, ops: [{ op: "piece", turn: 1, part: 0, text: "c" }] });
    expect(model.commands("snapshot")).toHaveLength(before + 1);
    model.acknowledge("snapshot");
    model.tell({ snapshot: { seq: 1, status, turns: [turn({ parts: [{ kind: "text", text: "a" }] })] } });
    vi.advanceTimersByTime(50);
    expect(el.querySelector(".llama-nb-text")?.textContent).toBe("abc");
  });

  it("shows what stands in the trait, at once", () => {
    const saved = new FakeModel();
    saved.traits["state"] = {
      seq: 4,
      status,
      turns: [turn({ parts: [{ kind: "text", text: "saved" }], phase: "done" })],
    };
    const another = makeWidget();
    const end = another.initialize({ model: saved });
    const place = document.createElement("div");
    const endPlace = another.render({ model: saved, el: place });
    expect(place.querySelector(".llama-nb-text")?.textContent).toBe("saved");
    endPlace();
    end();
  });

  it("tells the kernel when nobody looks any more, and catches up when somebody does", () => {
    const second = document.createElement("div");
    const endSecond = widget.render({ model, el: second });
    endView();
    expect(model.commands("leave")).toEqual([]);
    endSecond();
    expect(model.commands("leave")).toHaveLength(1);
    model.tell({ snapshot: { seq: 1, status, turns: [] } });
    const before = model.commands("snapshot").length;
    el = view();
    expect(model.commands("snapshot")).toHaveLength(before + 1);
  });

  it("keeps the mirror: asks for its text when an answer has ended", () => {
    model.tell({ seq: 1, ops: [{ op: "turn", turn: turn() }] });
    expect(model.commands("mirror")).toEqual([]);
    model.tell({ seq: 2, ops: [{ op: "mark", turn: 1, fields: { phase: "done" } }] });
    expect(model.commands("mirror")).toHaveLength(1);
  });
});

describe("a call that waits", () => {
  const waiting = { kind: "call", id: "c1", name: "f", text: "{}", state: "waiting", digest: "d1" } as const;
  const alert = () => [...el.querySelectorAll('p.llama-nb-hidden[role="alert"]')].at(-1)?.textContent;
  beforeEach(() => {
    model.tell({ seq: 1, ops: [{ op: "turn", turn: turn({ parts: [waiting] }) }] });
    vi.advanceTimersByTime(50);
  });

  it("is said once, to who cannot see it", () => {
    expect(alert()).toBe("The tool f waits for you: allow or deny it in its cell.");
    expect(said()).toContain("Waits for your decision");
    const changes = vi.fn();
    const observer = new MutationObserver(changes);
    observer.observe(el.querySelector('p.llama-nb-hidden[role="alert"]')!, { childList: true, subtree: true });
    model.tell({ seq: 2, ops: [{ op: "piece", turn: 1, part: 1, text: "x" }] });
    model.tell({ seq: 3, ops: [{ op: "status", status }] });
    vi.advanceTimersByTime(50);
    expect(observer.takeRecords()).toEqual([]);
    model.tell({ seq: 4, ops: [{ op: "step", turn: 1, part: 0, fields: { state: "running", digest: "" } }] });
    vi.advanceTimersByTime(50);
    expect(alert()).toBe("");
  });

  it("is decided by a command that is tried until it is acknowledged", async () => {
    named("Allow once").click();
    vi.advanceTimersByTime(3000);
    const sent = model.commands("decide");
    expect(sent.length).toBeGreaterThan(2);
    expect(new Set(sent.map((command) => command.nonce)).size).toBe(1);
    expect(sent[0]).toMatchObject({ call: "c1", digest: "d1", decision: "once", reason: "" });
    model.acknowledge("decide", { error: "nothing was decided" });
    await vi.advanceTimersByTimeAsync(50);
    expect(el.querySelector('.llama-nb-approval [role="alert"]')?.textContent).toBe("nothing was decided");
    named("Deny").form?.dispatchEvent(new Event("submit", { cancelable: true }));
    expect(model.commands("decide").at(-1)).toMatchObject({ decision: "deny" });
  });

  it("has no buttons before a kernel has answered", () => {
    const saved = new FakeModel();
    saved.traits["state"] = { seq: 4, status, turns: [turn({ parts: [waiting] })] };
    const another = makeWidget();
    const end = another.initialize({ model: saved });
    const place = document.createElement("div");
    const endPlace = another.render({ model: saved, el: place });
    const approval = () => place.querySelector<HTMLElement>(".llama-nb-approval")!;
    expect(approval().hidden).toBe(true);
    saved.acknowledge("snapshot");
    vi.advanceTimersByTime(50);
    expect(approval().hidden).toBe(false);
    endPlace();
    end();
  });

  it("keeps the focus in the panel when it has gone", () => {
    named("Deny").focus();
    model.tell({ seq: 2, ops: [{ op: "turns", turns: [] }] });
    vi.advanceTimersByTime(50);
    expect(document.activeElement).toBe(box());
  });
});

describe("the roll", () => {
  it("is answered as long as somebody looks", () => {
    model.tell({ roll: true });
    expect(model.commands("here")).toHaveLength(1);
    endView();
    model.tell({ roll: true });
    expect(model.commands("here")).toHaveLength(1);
    el = view();
  });

  it("a page that was away catches up", () => {
    const before = model.commands("snapshot").length;
    document.dispatchEvent(new Event("visibilitychange"));
    expect(model.commands("snapshot")).toHaveLength(before + 1);
  });
});

describe("asking again", () => {
  beforeEach(() => {
    const done = { parts: [{ kind: "text", text: "a" }], phase: "done" } as const;
    model.tell({ seq: 1, ops: [{ op: "turn", turn: turn({ id: -3, ...done }) }] });
    vi.advanceTimersByTime(50);
  });

  it("names the turn", () => {
    named("Regenerate").click();
    named("Edit").click();
    const edited = el.querySelector<HTMLTextAreaElement>(".llama-nb-editing textarea")!;
    edited.value = "new";
    edited.form?.dispatchEvent(new Event("submit", { cancelable: true }));
    expect(model.commands("regenerate")).toMatchObject([{ turn: -3 }]);
    expect(model.commands("edit")).toMatchObject([{ turn: -3, text: "new" }]);
  });
});

describe("the meter", () => {
  it("says how much of the context is used, once it is known", () => {
    const context = () => el.querySelector<HTMLElement>(".llama-nb-context")!;
    expect(context().hidden).toBe(true);
    const used = { ...status, context: { prompt_tokens: 1234, max_seq_len: 2048 } };
    model.tell({ seq: 1, ops: [{ op: "status", status: used }] });
    vi.advanceTimersByTime(50);
    expect(context().hidden).toBe(false);
    expect(context().textContent).toBe("1,234 of 2,048 tokens");
    const meter = context().querySelector("meter");
    expect(["value", "max"].map((name) => meter?.getAttribute(name))).toEqual(["1234", "2048"]);
  });
});

describe("the panel", () => {
  it("keeps its keys from the notebook", () => {
    const heard: string[] = [];
    for (const type of ["keydown", "keyup", "keypress", "copy", "cut", "paste"]) {
      document.body.addEventListener(type, () => heard.push(type));
      box().dispatchEvent(new Event(type, { bubbles: true }));
    }
    expect(heard).toEqual([]);
  });

  it("lets Ctrl+S through, and no other", () => {
    const heard: string[] = [];
    const hear = (event: KeyboardEvent) => heard.push(event.key);
    document.body.addEventListener("keydown", hear);
    expect(press("s", { ctrlKey: true }).defaultPrevented).toBe(true);
    press("s", { metaKey: true });
    for (const more of [{}, { altKey: true, ctrlKey: true }, { shiftKey: true, ctrlKey: true }]) press("s", more);
    press("Enter", { ctrlKey: true });
    expect(heard).toEqual(["s", "s"]);
    document.body.removeEventListener("keydown", hear);
  });

  it("has a name for everything", () => {
    expect(el.querySelector('[role="log"]')?.getAttribute("aria-label")).toBe("Conversation");
    expect(box().getAttribute("aria-label")).toBe("Message");
    for (const button of el.querySelectorAll("button")) expect(button.textContent).not.toBe("");
  });
});
