// Making elements, and touching them no more than needed.

export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  className = "",
  text = "",
): HTMLElementTagNameMap[K] {
  const el = document.createElement(tag);
  el.className = className;
  if (text) el.textContent = text;
  return el;
}

export function button(name: string, className: string, click?: () => void): HTMLButtonElement {
  const el = make("button", className, name);
  el.type = "button";
  if (click) el.addEventListener("click", click);
  return el;
}

/** Touches the page only if something changes, so that live regions and selections stay quiet. */
export function setText(el: Element, text: string): void {
  if (el.textContent !== text) el.textContent = text;
}

/** Why something did not work; a screen reader says it at once. Hidden while there is nothing to say. */
export function troubleLine(): HTMLParagraphElement {
  const el = make("p", "llama-nb-trouble");
  el.setAttribute("role", "alert");
  el.hidden = true;
  return el;
}

export function tell(trouble: HTMLElement, error: unknown): void {
  const text = error === null ? "" : error instanceof Error ? error.message : String(error);
  setText(trouble, text);
  trouble.hidden = text === "";
}
