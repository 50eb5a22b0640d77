// What a tool has returned → DOM nodes. Nobody vouches for it: HTML and SVG stay in a frame in which nothing runs, from
// which nothing is asked of the network, and which knows nothing of the page around it.

import { button, make } from "./dom";
import { codeBlock, render } from "./markdown";
import type { Call } from "./state";

const HIGHEST = 360; // pixels; what is longer scrolls

const POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

/** The result of `call`, in the colours of `near`; null if there is none yet. */
export function resultOf(call: Call, near: Element): HTMLElement | null {
  const label = call.state === "failed" ? "error" : "result";
  const text = () => codeBlock(call.bundle?.["text/plain"] ?? call.result ?? "", label);
  const rich = richResult(call, near);
  if (!rich) return call.result === undefined && !call.bundle?.["text/plain"] ? null : text();

  const el = make("div", "llama-nb-result");
  const bar = make("div", "llama-nb-code-bar");
  const plain = codeBlock(call.result ?? "", "as the model reads it");
  plain.hidden = true;
  const asText = button("As text", "", () => {
    plain.hidden = !plain.hidden;
    rich.hidden = !plain.hidden;
    asText.setAttribute("aria-pressed", String(rich.hidden));
  });
  asText.setAttribute("aria-pressed", "false");
  bar.append(make("span", "", label), asText);
  el.append(bar, rich, plain);
  return el;
}

function richResult(call: Call, near: Element): HTMLElement | null {
  const bundle = call.bundle ?? {};
  for (const kind of ["text/html", "image/svg+xml"]) {
    if (bundle[kind]) return frame(bundle[kind], `Result of ${call.name}`, near);
  }
  for (const kind of ["image/png", "image/jpeg"]) {
    if (bundle[kind] && /^[\w+/=\s]+$/.test(bundle[kind])) return image(kind, bundle[kind], `Result of ${call.name}`);
  }
  if (bundle["text/markdown"]) {
    const el = make("div", "llama-nb-result-text llama-nb-text");
    el.append(render(bundle["text/markdown"]));
    return el;
  }
  return null;
}

function image(kind: string, content: string, description: string): HTMLElement {
  const el = make("img", "llama-nb-result-image");
  el.src = `data:${kind};base64,${content.replace(/\s/g, "")}`;
  el.alt = description;
  return el;
}

function frame(html: string, title: string, near: Element): HTMLElement {
  // The document that DOMParser makes neither runs nor loads anything.
  const page = new DOMParser().parseFromString(html, "text/html");
  clean(page);
  const el = make("iframe", "llama-nb-result-frame");
  el.setAttribute("sandbox", ""); // no script, no form, no way out
  el.setAttribute("referrerpolicy", "no-referrer");
  el.title = title;
  el.style.height = `${heightOf(page)}px`;
  el.srcdoc = `<!doctype html><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="${POLICY}">
<meta http-equiv="x-dns-prefetch-control" content="off"><style>${styleOf(near)}</style>
${page.head.innerHTML}<body>${page.body.innerHTML}`;
  return el;
}

/**
 * Takes away what the frame's walls do not hold back: a link that is followed, and a name that is looked up beforehand.
 * (The walls are the sandbox and the policy; what slips through here still meets them.)
 */
function clean(page: Document): void {
  const unwanted = "script, meta, base, link, template, iframe, frame, object, embed, portal";
  for (const el of page.querySelectorAll(unwanted)) el.remove();
  for (const el of page.querySelectorAll("*")) {
    for (const { name, value } of [...el.attributes]) {
      const harmless = value.startsWith("#") || (/^img$|^image$/i.test(el.localName) && /^data:image\//i.test(value));
      if (/^on|^(srcdoc|ping|target|background|srcset|action|formaction)$/i.test(name)) {
        el.removeAttribute(name);
      } else if (/^(href|src|data|poster|.*:href)$/i.test(name) && !harmless) el.removeAttribute(name);
    }
  }
}

/** A guess: a frame without scripts tells nobody how high it is. The reader may pull it longer. */
function heightOf(page: Document): number {
  const drawing = page.querySelector("svg");
  if (drawing && !page.querySelector("table")) {
    const [, , width = 0, height = 0] = (drawing.getAttribute("viewBox") ?? "").split(/[\s,]+/).map(Number);
    const own =
      Number.parseFloat(drawing.getAttribute("height") ?? "") *
      (/pt$/.test(drawing.getAttribute("height") ?? "") ? 4 / 3 : 1);
    const guess = own || (width > 0 ? (height / width) * 600 : HIGHEST);
    return Math.round(Math.min(guess + 22, HIGHEST + 120));
  }
  if (page.querySelector("img")) return HIGHEST;
  const lines = page.querySelectorAll("tr, p, li, h1, h2, h3, h4, h5, h6, br, hr").length;
  const code = [...page.querySelectorAll("pre")].reduce(
    (sum, el) => sum + (el.textContent ?? "").split("\n").length,
    0,
  );
  return Math.max(56, Math.min(HIGHEST, 30 + 25 * lines + 18 * code + ((page.body.textContent ?? "").length >> 6)));
}

/** The panel's colours at this moment; a frame inherits none. */
function styleOf(near: Element): string {
  const panel = getComputedStyle(near.closest(".llama-nb") ?? near);
  const value = (name: string, otherwise: string) =>
    (panel.getPropertyValue(name) || otherwise).replace(/[<>{};]/g, "").trim();
  const dark = document.body.dataset["jpThemeLight"] === "false";
  return `:root { color-scheme: ${dark ? "dark" : "light"}; color: ${value("--fg", "CanvasText")};
  background: ${value("--bg", "Canvas")}; font: 13px / 1.5 ${value("font-family", "sans-serif")} }
body { margin: 8px 12px } table { border: 0; border-collapse: collapse; font-size: 12.5px }
th, td { padding: 3px 10px; border: 0; border-bottom: 1px solid ${value("--line", "#8884")}; text-align: right }
thead th { border-bottom-width: 2px } caption { text-align: left } svg, img { max-width: 100%; height: auto }
pre, code { font-family: ${value("--mono", "monospace")}; font-size: 12.5px }`;
}
