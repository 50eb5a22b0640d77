import { beforeEach, describe, expect, it } from "vitest";
import { figuresOf } from "../src/panel";
import type { Part, Turn } from "../src/state";
import { noteOf, TurnView } from "../src/turn";

const turn = (fields: Partial<Turn> = {}): Turn => ({ id: 1, question: "q", parts: [], phase: "done", ...fields });
const call = (fields: Partial<Part> = {}): Part =>
  ({ kind: "call", name: "f", text: "{}", state: "not run", ...fields }) as Part;

describe("a turn", () => {
  let view: TurnView;
  beforeEach(() => {
    view = new TurnView();
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
  const summary = (view: TurnView) => view.el.querySelector("summary")!;
  const details = (view: TurnView) => view.el.querySelector("details")!;

  it("unfolds while it is written, with its name and its state", () => {
    const view = new TurnView();
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
    const left = new TurnView();
    left.update(turn({ parts: [call()] }));
    left.update(turn({ parts: [call({ state: "done", result: "<b>r</b>" } as Partial<Part>)] }));
    expect(details(left).open).toBe(false);
    expect(left.el.querySelectorAll("pre")[1]?.textContent).toBe("<b>r</b>");

    const touched = new TurnView();
    touched.update(turn({ parts: [call()] }));
    summary(touched).dispatchEvent(new Event("click"));
    details(touched).open = true;
    touched.update(turn({ parts: [call({ state: "done" } as Partial<Part>)] }));
    expect(details(touched).open).toBe(true);
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
