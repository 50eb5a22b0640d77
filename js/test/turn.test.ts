import { beforeEach, describe, expect, it } from "vitest";
import { stateOf } from "../src/call";
import { figuresOf } from "../src/panel";
import type { Call, Part, Turn } from "../src/state";
import { type Hands, noteOf, TurnView } from "../src/turn";

const turn = (fields: Partial<Turn> = {}): Turn => ({ id: 1, question: "q", parts: [], phase: "done", ...fields });
const call = (fields: Partial<Call> = {}): Call => ({
  kind: "call",
  id: "c1",
  name: "f",
  text: "{}",
  state: "not run",
  ...fields,
});

/** What was asked of the kernel, and what it answers. */
class Kernel implements Hands {
  commands: unknown[][] = [];
  refuses: string | null = null;
  decide = ({ id, digest }: Call, decision: string, reason: string) =>
    this.take("decide", id, digest, decision, reason);
  edit = (turn: number, text: string) => this.take("edit", turn, text);
  regenerate = (turn: number) => this.take("regenerate", turn);

  private async take(...command: unknown[]) {
    this.commands.push(command);
    if (this.refuses !== null) throw new Error(this.refuses);
  }
}

/** A turn on the page. */
class View {
  readonly kernel = new Kernel();
  private readonly view = new TurnView(this.kernel);
  readonly el = this.view.el;

  constructor() {
    document.body.replaceChildren(this.el);
  }

  update(turn: Turn, circumstances: { live?: boolean; busy?: boolean } = {}) {
    this.view.update(turn, { live: true, busy: false, ...circumstances });
  }

  button(name: string): HTMLButtonElement {
    const buttons = [...this.el.querySelectorAll("button")];
    return buttons.find((button) => (button.getAttribute("aria-label") ?? button.textContent) === name)!;
  }

  /** Whether something is there to be seen. */
  shows(selector: string): boolean {
    const found = this.el.querySelector(selector);
    return found !== null && found.closest("[hidden]") === null;
  }
}

describe("a turn", () => {
  let view: View;
  beforeEach(() => {
    view = new View();
  });

  it("shows the question as it was typed, and the answer as Markdown", () => {
    view.update(turn({ question: "<b>a</b>\n*b*", parts: [{ kind: "text", text: "*c*" }] }));
    expect(view.el.querySelector(".llama-nb-question")?.textContent).toBe("<b>a</b>\n*b*");
    expect(view.el.querySelector(".llama-nb-answer em")?.textContent).toBe("c");
    expect(view.el.querySelector("b")).toBeNull();
  });

  it("is busy until it has ended", () => {
    for (const [phase, busy] of [
      ["queued", "true"],
      ["answering", "true"],
      ["done", "false"],
      ["stopped", "false"],
    ] as const) {
      view.update(turn({ phase }));
      expect(view.el.getAttribute("aria-busy")).toBe(busy);
    }
  });

  it("keeps the nodes of what did not change", () => {
    const text: Part = { kind: "text", text: "One.\n\nTw" };
    view.update(turn({ parts: [text] }));
    const settled = view.el.querySelector(".llama-nb-text p");
    view.update(turn({ parts: [{ ...text, text: "One.\n\nTwo." }, call()] }));
    expect(view.el.querySelector(".llama-nb-text p")).toBe(settled);
    expect(view.el.querySelectorAll(".llama-nb-text p")[1]?.textContent).toBe("Two.");
  });

  it("follows parts that become others, or fewer", () => {
    view.update(turn({ parts: [{ kind: "text", text: "a" }, call()] }));
    view.update(turn({ parts: [call()] }));
    expect(view.el.querySelector(".llama-nb-text")).toBeNull();
    expect(view.el.querySelectorAll("details")).toHaveLength(1);
    view.update(turn({ parts: [] }));
    expect(view.el.querySelector("details")).toBeNull();
  });

  it("says why it failed, as text", () => {
    view.update(turn({ phase: "failed", error: "<img src=x onerror=alert(1)> fell over" }));
    expect(view.el.querySelector(".llama-nb-note")?.textContent).toBe("<img src=x onerror=alert(1)> fell over");
    expect(view.el.querySelector("img")).toBeNull();
  });
});

describe("a tool call", () => {
  const summary = (view: View) => view.el.querySelector("summary")!;
  const details = (view: View) => view.el.querySelector("details")!;

  it("unfolds while it is written, with its name and its state", () => {
    const view = new View();
    view.update(turn({ phase: "answering", parts: [call({ name: "", text: '{"na', state: "calling" })] }));
    expect(details(view).open).toBe(true);
    expect(summary(view).textContent).toContain("calling…");
    const code = view.el.querySelector("pre code");
    view.update(turn({ phase: "answering", parts: [call({ text: '{"name": "f"', state: "calling" })] }));
    expect(summary(view).textContent).toContain("f");
    expect(view.el.querySelector("pre code")).toBe(code);
    expect(code?.textContent).toBe('{"name": "f"');
    view.update(turn({ parts: [call({ text: '{\n  "a": 1\n}' })] }));
    expect(summary(view).textContent).toContain("not run");
    expect(view.el.querySelector("pre")?.textContent).toBe('{\n  "a": 1\n}');
  });

  it("folds when its result is there, unless the reader has folded or unfolded it", () => {
    const left = new View();
    left.update(turn({ parts: [call()] }));
    left.update(turn({ parts: [call({ state: "done", result: "<b>r</b>" })] }));
    expect(details(left).open).toBe(false);
    details(left).open = true;
    details(left).dispatchEvent(new Event("toggle"));
    expect(left.el.querySelectorAll("pre")[1]?.textContent).toBe("<b>r</b>");

    const touched = new View();
    touched.update(turn({ parts: [call()] }));
    summary(touched).dispatchEvent(new Event("click"));
    details(touched).open = true;
    touched.update(turn({ parts: [call({ state: "done" })] }));
    expect(details(touched).open).toBe(true);
  });
});

describe("a call that waits", () => {
  const waiting = (fields: Partial<Call> = {}) =>
    turn({ phase: "answering", parts: [call({ state: "waiting", digest: "d1", text: '{"a": 1}', ...fields })] });
  const reason = (view: View) => view.el.querySelector<HTMLInputElement>('input[aria-label="Reason"]')!;
  let view: View;
  beforeEach(() => {
    view = new View();
    view.update(waiting());
  });

  it("is open, with its arguments, and with controls that have names", () => {
    expect(view.el.querySelector("details")?.open).toBe(true);
    expect(view.el.querySelector("summary")?.textContent).toContain("waits for you");
    expect(view.el.querySelector("pre")?.textContent).toBe('{"a": 1}');
    for (const name of ["Allow once", "Allow for this chat", "Deny"]) expect(view.button(name).hidden).toBe(false);
    expect(view.shows('input[aria-label="Reason"]')).toBe(true);
  });

  it.each([
    ["Allow once", "once"],
    ["Allow for this chat", "chat"],
  ])("%s sends the decision, with the digest of what was seen", (name, decision) => {
    reason(view).value = "not sent";
    view.button(name).click();
    expect(view.kernel.commands).toEqual([["decide", "c1", "d1", decision, ""]]);
  });

  it("Deny sends its reason, by the button or by Enter", () => {
    reason(view).value = " too risky ";
    view.el.querySelector("form.llama-nb-approval")?.dispatchEvent(new Event("submit", { cancelable: true }));
    expect(view.kernel.commands).toEqual([["decide", "c1", "d1", "deny", "too risky"]]);
    expect(view.button("Deny").type).toBe("submit");
    for (const name of ["Allow once", "Allow for this chat"]) expect(view.button(name).type).toBe("button");
  });

  it("sends one decision until it is answered, and decides nothing by itself", () => {
    view.button("Allow once").click();
    view.button("Allow for this chat").click();
    expect(view.kernel.commands).toHaveLength(1);
    expect(view.el.querySelector("summary")?.textContent).toContain("waits for you");
    expect(view.shows(".llama-nb-approval")).toBe(true);
  });

  it("says why a decision was not taken, and takes another", async () => {
    view.kernel.refuses = "<b>changed</b>";
    view.button("Allow once").click();
    const alert = view.el.querySelector('.llama-nb-approval [role="alert"]')!;
    await expect.poll(() => alert.textContent).toBe("<b>changed</b>");
    view.kernel.refuses = null;
    view.button("Allow once").click();
    expect(view.kernel.commands).toHaveLength(2);
    expect(alert.textContent).toBe("");
  });

  it("takes its buttons away when it is decided, and leaves the focus in the cell", () => {
    view.button("Allow once").focus();
    view.update(turn({ phase: "answering", parts: [call({ state: "running" })] }));
    expect(view.shows(".llama-nb-approval")).toBe(false);
    expect(document.activeElement).toBe(view.el.querySelector("summary"));
    expect(view.el.querySelector("details")?.open).toBe(true);
  });

  it("does not take the focus from where it is", () => {
    const elsewhere = document.createElement("button");
    document.body.append(elsewhere);
    elsewhere.focus();
    view.update(waiting({ digest: "d2" }));
    view.update(turn({ parts: [call({ state: "done" })] }));
    expect(document.activeElement).toBe(elsewhere);
  });

  it("of a saved notebook has no buttons", () => {
    const saved = new View();
    saved.update(waiting(), { live: false });
    expect(saved.el.querySelector("summary")?.textContent).toContain("waits for you");
    expect(saved.shows(".llama-nb-approval")).toBe(false);
    saved.update(waiting(), { live: true });
    expect(saved.shows(".llama-nb-approval")).toBe(true);
  });

  it("sends the digest of the arguments that are shown", () => {
    view.update(waiting({ digest: "d2", text: '{"a": 2}' }));
    expect(view.el.querySelector("pre")?.textContent).toBe('{"a": 2}');
    view.button("Allow once").click();
    expect(view.kernel.commands).toEqual([["decide", "c1", "d2", "once", ""]]);
  });

  it("shows what should be known of the tool, as text, above the buttons", () => {
    expect(view.shows(".llama-nb-approval-notice")).toBe(false);
    view.update(waiting({ notice: "Reads <b>your</b> files\u202e." }));
    const notice = view.el.querySelector(".llama-nb-approval-notice")!;
    expect(notice.textContent).toBe("Reads <b>your</b> files⟨U+202E⟩.");
    expect(notice.compareDocumentPosition(view.button("Allow once"))).toBe(Node.DOCUMENT_POSITION_FOLLOWING);
    expect(view.shows(".llama-nb-approval-notice")).toBe(true);
    view.update(waiting());
    expect(view.shows(".llama-nb-approval-notice")).toBe(false);
  });

  it("is not offered for the chat when each call is asked about", () => {
    expect(view.shows(".llama-nb-allow-chat")).toBe(true);
    view.update(waiting({ lasting: false }));
    expect(view.shows(".llama-nb-allow-chat")).toBe(false);
    expect(view.shows(".llama-nb-allow")).toBe(true);
    view.update(waiting());
    expect(view.shows(".llama-nb-allow-chat")).toBe(true);
  });

  it("spells out what cannot be seen, and counts it", () => {
    view.update(waiting({ text: "a\u202eb\u200b\u200bc\r\n\td\u00ad", name: "f\u202e", digest: "d3" }));
    expect(view.el.querySelector("pre")?.textContent).toBe("a⟨U+202E⟩b⟨U+200B⟩⟨U+200B⟩c⟨U+000D⟩\n\td⟨U+00AD⟩");
    expect(view.el.querySelector(".llama-nb-call-warning")?.textContent).toContain("5 characters");
    expect(view.el.querySelector(".llama-nb-call-name")?.textContent).toBe("f⟨U+202E⟩");
  });

  it("shows code as code, all of it", () => {
    const code = "print(1)\n".repeat(5000);
    view.update(waiting({ name: "code_interpreter", language: "python", text: code }));
    expect(view.el.querySelector(".llama-nb-code-bar span")?.textContent).toBe("python");
    expect(view.el.querySelector("pre")?.textContent).toBe(code);
  });
});

describe("a call that runs and ends", () => {
  const details = (view: View) => view.el.querySelector("details")!;

  it.each([
    ["waiting", true],
    ["running", true],
    ["done", false],
    ["failed", true],
    ["denied", true],
    ["stopped", true],
    ["not run", true],
  ] as const)("%s: open %s", (state, open) => {
    const view = new View();
    view.update(turn({ parts: [call({ state })] }));
    expect(details(view).open).toBe(open);
  });

  it("says how it goes on, and how long it took", () => {
    const view = new View();
    view.update(turn({ parts: [call({ state: "running", progress: "1 of <b>2</b>" })] }));
    const code = view.el.querySelector("pre");
    expect(view.el.querySelector(".llama-nb-call-progress")?.textContent).toBe("1 of <b>2</b>");
    view.update(turn({ parts: [call({ state: "running", progress: "2 of 2" })] }));
    expect(view.el.querySelector("pre")).toBe(code);
    view.update(turn({ parts: [call({ state: "failed", result: "no\nway", seconds: 1.25 })] }));
    expect(view.shows(".llama-nb-call-progress")).toBe(false);
    expect(view.el.querySelector("summary")?.textContent).toContain("failed · 1.3 s");
    expect(view.el.querySelectorAll("pre")[1]?.textContent).toBe("no\nway");
  });

  it.each([
    [0.0002, "1 ms"],
    [0.2504, "250 ms"],
    [0.9996, "1.0 s"],
    [12.34, "12.3 s"],
    [61.5, "1 min 1 s"],
  ])("%d seconds are %s", (seconds, said) => {
    expect(stateOf(call({ state: "done", seconds }))).toBe(`done · ${said}`);
  });

  it("makes a result when somebody looks, and makes it once", () => {
    const view = new View();
    view.update(turn({ parts: [call({ state: "done", result: "r", bundle: { "image/png": "iVBO" } })] }));
    expect(view.el.querySelector("img")).toBeNull();
    details(view).open = true;
    details(view).dispatchEvent(new Event("toggle"));
    const image = view.el.querySelector("img");
    expect(image?.src).toBe("data:image/png;base64,iVBO");
    details(view).dispatchEvent(new Event("toggle"));
    expect(view.el.querySelector("img")).toBe(image);
  });

  it("keeps its place in a turn of several rounds", () => {
    const view = new View();
    const parts: Part[] = [
      { kind: "notice", text: "left out" },
      { kind: "text", text: "one" },
      call({ state: "done" }),
      { kind: "text", text: "two" },
      call({ id: "c2", state: "waiting" }),
    ];
    view.update(turn({ phase: "answering", parts }));
    const kinds = [...view.el.querySelector(".llama-nb-answer")!.children].map((el) => el.className.split(" ")[0]);
    expect(kinds.slice(1, -1)).toEqual(["notice", "text", "call", "text", "call"].map((name) => `llama-nb-${name}`));
  });
});

describe("a question asked again", () => {
  const done = turn({
    id: 7,
    question: "old words",
    parts: [{ kind: "text", text: "*a*" }, call(), { kind: "text", text: "b" }],
  });
  let view: View;
  beforeEach(() => {
    view = new View();
    view.update(done);
  });
  const box = () => view.el.querySelector("textarea")!;
  const press = (key: string) => {
    const event = new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true });
    box().dispatchEvent(event);
    return event;
  };

  it("is a form with its words, and is sent by Enter", async () => {
    view.button("Edit question").click();
    expect(box().value).toBe("old words");
    expect(document.activeElement).toBe(box());
    expect(view.shows(".llama-nb-question")).toBe(false);
    box().value = "new words";
    press("Enter");
    expect(view.kernel.commands).toEqual([["edit", 7, "new words"]]);
    await expect.poll(() => view.shows(".llama-nb-editing")).toBe(false);
    expect(view.shows(".llama-nb-question")).toBe(true);
  });

  it("is left as it was by Escape, which stops nothing", () => {
    view.button("Edit question").click();
    box().value = "new words";
    const heard: string[] = [];
    view.el.addEventListener("keydown", (event) => heard.push(event.key));
    press("Escape");
    expect(heard).toEqual([]);
    expect(view.shows(".llama-nb-editing")).toBe(false);
    expect(document.activeElement).toBe(view.button("Edit question"));
    expect(view.kernel.commands).toEqual([]);
  });

  it("keeps what was typed when it was not taken, and says why", async () => {
    view.kernel.refuses = "too long";
    view.button("Edit question").click();
    box().value = "new words";
    press("Enter");
    const alert = view.el.querySelector('.llama-nb-editing [role="alert"]')!;
    await expect.poll(() => alert.textContent).toBe("too long");
    expect(box().value).toBe("new words");
  });

  it("is not sent empty, nor while an answer is under way", () => {
    view.button("Edit question").click();
    box().value = "  ";
    press("Enter");
    box().value = "words";
    view.update(done, { busy: true });
    press("Enter");
    expect(view.kernel.commands).toEqual([]);
    expect(box().value).toBe("words");
  });

  it("in its own words by Regenerate", async () => {
    view.kernel.refuses = "the kernel says no";
    view.button("Regenerate answer").click();
    expect(view.kernel.commands).toEqual([["regenerate", 7]]);
    await expect.poll(() => view.el.textContent).toContain("the kernel says no");
  });

  it("cannot be while an answer is under way, nor without a kernel", () => {
    view.update(done, { busy: true });
    expect([view.button("Edit question").disabled, view.button("Regenerate answer").disabled]).toEqual([true, true]);
    view.update(done, { live: false });
    expect([view.button("Edit question").hidden, view.button("Regenerate answer").hidden]).toEqual([true, true]);
    expect(view.button("Copy answer").hidden).toBe(false);
  });

  it("its answer is copied without its calls", async () => {
    const copied: string[] = [];
    const clipboard = { writeText: async (text: string) => void copied.push(text) };
    Object.defineProperty(navigator, "clipboard", { configurable: true, value: clipboard });
    view.button("Copy answer").click();
    await expect.poll(() => copied).toEqual(["*a*\n\nb"]);
  });
});

describe("what is said beside an answer", () => {
  it.each([
    [turn({ phase: "queued" }), "Thinking…"],
    [turn({ phase: "stopped" }), "Stopped before it began"],
    [turn({ phase: "stopped", parts: [call()] }), "Stopped"],
    [turn({ phase: "cut" }), "Unfinished: out of tokens"],
    [turn({ phase: "failed" }), "Failed"],
    [turn({ phase: "done" }), "No answer"],
    [turn({ phase: "done", parts: [call()] }), ""],
  ])("%j", (turn, note) => {
    expect(noteOf(turn)).toBe(note);
  });

  it("its figures, as far as they are known", () => {
    expect(figuresOf(undefined)).toBe("");
    expect(figuresOf(turn())).toBe("");
    expect(figuresOf(turn({ figures: { completion_tokens: 1, tokens_per_s: 3.14 } }))).toBe("1 token · 3.1 tokens/s");
    expect(figuresOf(turn({ figures: { completion_tokens: 42, tokens_per_s: 31.4 } }))).toBe("42 tokens · 31 tokens/s");
  });
});
