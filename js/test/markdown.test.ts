import { describe, expect, it } from "vitest";
import { codeBlock, MarkdownView, render, safeAddress } from "../src/markdown";
import { hostile } from "./hostile";

// Node's, of which no types are installed.
declare const process: { cpuUsage(since?: Usage): Usage };
type Usage = { user: number; system: number };

function rendered(text: string): HTMLElement {
  const el = document.createElement("div");
  el.append(render(text));
  return el;
}

/** Tags and texts, without what is the same in every code block. */
const shape = (el: HTMLElement) => el.innerHTML;

describe("Markdown", () => {
  it.each([
    ["plain", "<p>plain</p>"],
    ["*a* **b** ~~c~~ `d`", "<p><em>a</em> <strong>b</strong> <s>c</s> <code>d</code></p>"],
    ["# a\n## b", '<h3 data-level="1">a</h3><h4 data-level="2">b</h4>'],
    ["- a\n- b", "<ul><li>a</li><li>b</li></ul>"],
    ["3. a\n4. b", '<ol start="3"><li>a</li><li>b</li></ol>'],
    ["> a", "<blockquote><p>a</p></blockquote>"],
    ["a\n\n---\n\nb", "<p>a</p><hr><p>b</p>"],
    ["a  \nb", "<p>a<br>b</p>"],
    ["&amp; &copy;", "<p>&amp; ©</p>"],
    [
      "| a | b |\n|---|--:|\n| 1 | 2 |",
      '<table><thead><tr><th>a</th><th style="text-align: right;">b</th></tr></thead><tbody><tr><td>1</td>' +
        '<td style="text-align: right;">2</td></tr></tbody></table>',
    ],
  ])("%j", (text, html) => {
    expect(shape(rendered(text)).replace(/\n/g, "")).toBe(html);
  });

  it("keeps formulas as they were written", () => {
    for (const formula of ["\\(a_1 * b_2 * c\\)", "\\[x\\_y\\]", "$$\\frac{a}{b}$$", "$a_1 * b_2 * c$"]) {
      expect(rendered(`so ${formula} holds`).textContent).toBe(`so ${formula} holds`);
    }
    expect(rendered("It costs $5 and *not* $6.").querySelector("em")).not.toBeNull();
  });

  it("gives code a name and a copy button, and keeps its text", () => {
    const el = rendered("```python\nif a < b:\n    pass\n```");
    expect(el.querySelector("pre")?.textContent).toBe("if a < b:\n    pass");
    expect(el.querySelector(".llama-nb-code-bar span")?.textContent).toBe("python");
    expect(el.querySelector("button")?.getAttribute("aria-label")).toBe("Copy code");
  });

  it("copies code, also where the clipboard may not be written", async () => {
    const copied: string[] = [];
    Object.defineProperty(navigator, "clipboard", {
      configurable: true,
      value: { writeText: async (text: string) => void copied.push(text) },
    });
    const block = codeBlock("x = 1\n");
    document.body.append(block);
    const button = block.querySelector("button")!;
    button.click();
    await expect.poll(() => button.textContent).toBe("Copied");
    expect(copied).toEqual(["x = 1\n"]);

    Object.defineProperty(navigator, "clipboard", { configurable: true, value: undefined });
    document.execCommand = (command: string) => {
      copied.push(`${command}: ${block.querySelector("textarea")?.value}`);
      return true;
    };
    button.click();
    await expect.poll(() => copied.at(-1)).toBe("copy: x = 1\n");
    expect(block.querySelector("textarea")).toBeNull();
  });
});

describe("hostile text", () => {
  it("is a corpus worth the name", () => {
    expect(new Set(hostile).size).toBeGreaterThanOrEqual(60);
  });

  it.each(hostile)("does nothing: %j", (text) => {
    // Whole, and in every stage of being written.
    const growing = document.createElement("div");
    const view = new MarkdownView(growing);
    for (let end = 1; end <= text.length; end += Math.max(1, Math.floor(text.length / 40))) {
      view.update(text.slice(0, end));
      expectHarmless(growing);
    }
    expectHarmless(rendered(text));
    expectHarmless(rendered(`> - a\n>   ${text.replaceAll("\n", "\n>   ")}`));
    expectHarmless(rendered(`| a |\n|---|\n| ${text} |`));
  });
});

const HARMLESS = `a blockquote br button code div em h3 h4 h5 h6 hr li ol p pre s span strong table tbody td th thead tr
  ul`.split(/\s+/);
const ATTRIBUTES = "aria-label class data-level href rel start style tabindex target title type".split(" ");

function expectHarmless(root: HTMLElement): void {
  for (const el of root.querySelectorAll("*")) {
    expect(HARMLESS).toContain(el.localName);
    for (const { name, value } of el.attributes) {
      expect(ATTRIBUTES).toContain(name);
      if (name === "href") expect(value).toMatch(/^(https?:\/\/|mailto:)/);
      if (name === "style") expect(value).toMatch(/^text-align: (left|center|right);$/);
    }
    if (el.localName === "a") {
      expect(el.getAttribute("rel")).toBe("noopener noreferrer nofollow");
      expect(el.getAttribute("target")).toBe("_blank");
    }
  }
}

describe("an address", () => {
  it.each(["http://a.example/b?c=d#e", "HTTPS://a.example", "mailto:a@b.example"])("%s is a link", (address) => {
    expect(safeAddress(address)).not.toBeNull();
  });

  it.each(
    `javascript:alert(1) JaVaScRiPt:alert(1) vbscript:x data:text/html,x data:image/png;base64,x file:///etc/passwd
    blob:x command:x vscode://x //a.example /a a.html #a ?a about:blank ftp://a.example ws://a.example http:a.example
    https:/a.example jar:http://a.example!/ view-source:http://a.example http:// https://[ chrome://x tel:1 sms:1`
      .split(/\s+/)
      .concat(["java\nscript:alert(1)", "\u0001javascript:alert(1)", " javascript:alert(1)", ""]),
  )("%j is none", (address) => {
    expect(safeAddress(address)).toBeNull();
  });

  it("shows the host that it leads to", () => {
    const link = rendered("[apple.com](https://аррle.example/)").querySelector("a")!;
    expect(link.title).toContain("xn--");
  });
});

describe("growing text", () => {
  const texts = [
    "One.\n\nTwo *three*.\n\n```python\ncode\n\nmore\n```\n\nEnd.",
    "1. a\n\n2. b\n\n3. c\n\ntext\n",
    "- a\n  - b\n\n  c\n- d\n\n\n# H\nunder\n===\n| a | b |\n|---|---|\n| 1 | 2 |\n\n> q\nlazy\n\n> r",
    "a\r\nb\r\n\r\nc\rd",
    "~~~\n```\n~~~\n```\nopen",
    ...hostile,
  ];

  it("ends as if it had come at once, however it was cut", () => {
    texts.forEach((text, index) => {
      for (const step of [1, 2, 3, 7, 50]) {
        const el = document.createElement("div");
        const view = new MarkdownView(el);
        for (let end = step; end < text.length; end += step) view.update(text.slice(0, end));
        view.update(text);
        expect(shape(el), `text ${index} in steps of ${step}`).toBe(shape(rendered(text)));
      }
    });
  });

  it("leaves settled blocks alone", () => {
    const el = document.createElement("div");
    const view = new MarkdownView(el);
    view.update("One.\n\nTwo.\n\nThr");
    const [one, two, three] = el.children;
    view.update("One.\n\nTwo.\n\nThree.\n\nFour");
    expect(el.children[0]).toBe(one);
    expect(el.children[1]).toBe(two);
    expect(el.children).toHaveLength(4);
    expect(el.children[2]).not.toBe(three);
  });

  it("leaves code alone while the next paragraph is written", () => {
    const el = document.createElement("div");
    const view = new MarkdownView(el);
    const code = "```\nx = 1\n```\n\n";
    view.update(code);
    const button = el.querySelector("button");
    for (const more of ["A", "And", "And so"]) view.update(code + more);
    expect(el.querySelector("button")).toBe(button);
  });

  it("may become another text altogether", () => {
    const el = document.createElement("div");
    const view = new MarkdownView(el);
    view.update("One.\n\nTwo.\n\nThree");
    view.update("Else.");
    expect(shape(el)).toBe("<p>Else.</p>");
  });
});

describe("pathological text", () => {
  const N = 200_000;
  const generators: Record<string, string> = {
    brackets: "[".repeat(N),
    images: "![ ".repeat(N / 3),
    emphasis: "*a_".repeat(N / 3),
    quotes: ">".repeat(N),
    links: "[a](".repeat(N / 4),
    backticks: Array.from({ length: 600 }, (_, index) => "`".repeat(index + 1)).join(" "),
    lists: "- ".repeat(N / 2),
    entities: "&amp;".repeat(N / 5),
    formulas: "\\(".repeat(N / 2),
    dollars: "$a".repeat(N / 2),
    table: `${"|a".repeat(N / 4)}\n${"|-".repeat(N / 4)}\n${"|a".repeat(N / 4)}`,
    references: `${"[a]: b\n".repeat(N / 14)}${"[a]".repeat(N / 6)}`,
    "behind code": `\`\`\`\nx\n\`\`\`\n${"[".repeat(N)}`,
    "behind false code": `\`\`\`a\`b\n${"[".repeat(N)}`,
  };

  it.each(Object.entries(generators))("is shown, and does not freeze the page: %s", (_, text) => {
    const before = process.cpuUsage();
    const el = rendered(text);
    // Of processor time, which a busy machine does not stretch. A quadratic parser needs minutes for this.
    expect(process.cpuUsage(before).user / 1e6).toBeLessThan(10);
    expect(el.childNodes.length).toBeGreaterThan(0);
  });

  it("is shown whole", () => {
    expect(rendered("[".repeat(N)).textContent).toHaveLength(N);
  });

  it("long code stays code", () => {
    const code = "x = 1\n".repeat(10_000);
    const el = rendered(`\`\`\`\n${code}\`\`\`\n\nAfter.`);
    expect(el.querySelector("pre")?.textContent).toHaveLength(code.length - 1);
    expect(el.lastElementChild?.textContent).toBe("After.");
  });
});
