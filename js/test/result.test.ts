import { describe, expect, it } from "vitest";
import { resultOf } from "../src/result";
import type { Call } from "../src/state";
import { countHidden, inOneLine, visible } from "../src/visible";
import { hostile } from "./hostile";

// The page that happy-dom reads loads what stands in it, which a browser's DOMParser does not; so it must say nothing.
const { happyDOM } = window as unknown as { happyDOM: { settings: Record<string, boolean> } };
happyDOM.settings["handleDisabledFileLoadingAsSuccess"] = true;

function result(fields: Partial<Call>): HTMLElement {
  const call: Call = { kind: "call", name: "f", text: "{}", state: "done", result: "as text", ...fields };
  document.body.replaceChildren();
  const el = resultOf(call, document.body);
  if (!el) throw new Error("there is no result");
  return el;
}

const frameOf = (html: string) => result({ bundle: { "text/html": html } }).querySelector("iframe")!;

describe("a result", () => {
  it("is text where there is nothing else", () => {
    expect(result({ result: "<b>r</b>" }).querySelector("pre")?.textContent).toBe("<b>r</b>");
    expect(result({ bundle: { "text/plain": "plain" } }).querySelector("pre")?.textContent).toBe("plain");
    expect(resultOf({ kind: "call", name: "f", text: "", state: "running" }, document.body)).toBeNull();
  });

  it("is a picture, under a name", () => {
    const image = result({ bundle: { "image/jpeg": "/9j/\n4AAQ" } }).querySelector("img")!;
    expect([image.src, image.alt]).toEqual(["data:image/jpeg;base64,/9j/4AAQ", "Result of f"]);
  });

  it("that is no picture is text", () => {
    const el = result({ bundle: { "image/png": '" onerror="alert(1)' } });
    expect(el.querySelector("img")).toBeNull();
    expect(el.querySelector("pre")?.textContent).toBe("as text");
  });

  it("is Markdown as answers are", () => {
    const el = result({ bundle: { "text/markdown": "*a* <b>c</b> ![x](http://evil.example/a.png)" } });
    expect(el.querySelector("em")?.textContent).toBe("a");
    expect(el.querySelector("b, img")).toBeNull();
  });

  it("can be read as the model reads it", () => {
    const el = result({ bundle: { "text/html": "<b>r</b>" } });
    const asText = [...el.querySelectorAll("button")].find((button) => button.textContent === "As text")!;
    expect(el.querySelector("pre")?.closest("[hidden]")).not.toBeNull();
    asText.click();
    expect(el.querySelector("pre")?.closest("[hidden]")).toBeNull();
    expect(el.querySelector("pre")?.textContent).toBe("as text");
    expect(el.querySelector("iframe")?.hidden).toBe(true);
    expect(asText.getAttribute("aria-pressed")).toBe("true");
  });
});

describe("HTML and SVG", () => {
  it.each(["text/html", "image/svg+xml"])("%s stays in a frame without any right", (kind) => {
    const frame = result({ bundle: { [kind]: "<svg viewBox='0 0 10 5'><circle r='1'/></svg>" } }).querySelector(
      "iframe",
    )!;
    expect(frame.getAttribute("sandbox")).toBe("");
    expect(frame.title).toBe("Result of f");
    expect(frame.srcdoc).toContain("<circle");
    expect(frame.srcdoc.indexOf("default-src 'none'")).toBeLessThan(frame.srcdoc.indexOf("<circle"));
    expect(Number.parseFloat(frame.style.height)).toBeLessThanOrEqual(480);
  });

  it("keeps the table", () => {
    const table =
      '<table border="1" class="dataframe"><thead><tr><th>a</th></tr></thead><tbody><tr><td>1</td></tr></tbody></table>';
    expect(frameOf(`<style scoped>td { color: red }</style>${table}`).srcdoc).toContain("<td>1</td>");
    expect(frameOf(`<style scoped>td { color: red }</style>${table}`).srcdoc).toContain("color: red");
  });

  it("keeps what points into itself, and pictures that are there", () => {
    const kept = frameOf('<svg><use href="#a"></use></svg><img src="data:image/png;base64,iVBO">').srcdoc;
    expect(kept).toContain('href="#a"');
    expect(kept).toContain("data:image/png");
  });

  it.each(hostile)("keeps neither script, nor address, nor handler: %j", (text) => {
    const page = new DOMParser().parseFromString(frameOf(text).srcdoc, "text/html");
    const metas = [...page.querySelectorAll("meta")].map((meta) => meta.outerHTML).join("");
    expect(metas).not.toContain("refresh");
    expect(page.querySelector("script, base, link, iframe, object, embed, template")).toBeNull();
    for (const el of page.querySelectorAll("*")) {
      for (const { name, value } of el.attributes) {
        expect(name).not.toMatch(/^on/i);
        if (/href$|^src$|^action$|^formaction$|^srcset$/i.test(name)) expect(value).toMatch(/^#|^data:image\//);
      }
    }
  });

  it("is as high as its rows need, within bounds", () => {
    const rows = (count: number) => `<table>${"<tr><td>1</td></tr>".repeat(count)}</table>`;
    const height = (count: number) => Number.parseFloat(frameOf(rows(count)).style.height);
    expect(height(1)).toBeGreaterThan(40);
    expect(height(5)).toBeGreaterThan(height(2));
    expect(height(5000)).toBe(360);
  });
});

describe("what cannot be seen", () => {
  const spelled = (text: string) =>
    visible(text)
      .map((node) => node.textContent)
      .join("");

  it.each([
    ["plain text, Zürich, 日本, 🦙, a\n\tb", 0],
    ["\u202e\u2066\u200f", 3], // direction
    ["\u200b\u200d\ufeff\u2060\u00ad", 5], // no width
    ["\u0000\u001b\u0085\r", 4], // controls
    ["\u00a0\u2003\u2028\u2029\u3000", 5], // spaces that are none, and lines
    ["\u3164\u115f\uffa0\u2800\u034f\ufe0f", 6], // letters without ink
    ["\u{e0041}\u{e0100}\u{f0000}\ue000", 4], // tags, variations, private use
    ["\ud800", 1],
  ])("in %j: %d", (text, count) => {
    expect(countHidden(text)).toBe(count);
    expect(spelled(text).match(/⟨U\+[0-9A-F]{4,6}⟩/g)?.length ?? 0).toBe(count);
    if (count === 0) expect(spelled(text)).toBe(text);
  });

  it("is spelled out by its number", () => {
    expect(spelled("a\u202eb\u{e0041}")).toBe("a⟨U+202E⟩b⟨U+E0041⟩");
    expect(inOneLine("a\nb\u200b")).toBe("a⟨U+000A⟩b⟨U+200B⟩");
  });

  it("is spelled quickly", () => {
    expect(visible("\u200b".repeat(100_000))).toHaveLength(3);
  });
});
