// The mirror: the transcript as Markdown in the output below the panel, for when no kernel runs. Knows how JupyterLab
// lays out a cell's outputs; where it is not as expected, the mirror stays as it is.

export interface Mirrored {
  readonly name: string;
  /** The transcript as Python writes it, as soon as it is known. */
  readonly mirror: { readonly text: string | null };
  onChange(listener: () => void, signal: AbortSignal): void;
}

/** While the panel is on the page its mirror is hidden, and kept up to date. */
export function keepMirror(el: HTMLElement, session: Mirrored, manager: unknown, signal: AbortSignal): void {
  hideMirror(el, session.name, signal);
  let written: string | null = null;
  session.onChange(() => {
    const { text } = session.mirror;
    if (text !== null && text !== written) writeMirror(manager, session.name, text);
    written = text;
  }, signal);
}

const titleOf = (name: string) => `Llama conversation ${name}`;

function hideMirror(el: HTMLElement, name: string, signal: AbortSignal): void {
  const hidden = new Set<Element>();
  const hide = () => {
    for (const child of outputs?.children ?? []) {
      if (child.contains(el) || !child.textContent?.includes(titleOf(name))) continue;
      child.classList.add("llama-nb-mirror");
      hidden.add(child);
    }
  };
  let outputs: Element | null = null;
  const changes = new MutationObserver(hide);
  // Jupyter puts the panel on the page after it was made, and may do so again.
  const placed = new ResizeObserver(() => {
    const found = el.closest(".jp-OutputArea");
    if (found && found !== outputs) {
      changes.disconnect();
      changes.observe(found, { childList: true, subtree: true });
      outputs = found;
    }
    hide();
  });
  placed.observe(el);
  signal.addEventListener("abort", () => {
    placed.disconnect();
    changes.disconnect();
    for (const child of hidden) child.classList.remove("llama-nb-mirror");
  });
}

interface Outputs {
  readonly length: number;
  get(index: number): { toJSON(): { output_type?: string; data?: Record<string, unknown>; metadata?: object } };
  set(index: number, output: unknown): void;
}

interface Notebook {
  context?: { model?: { cells?: Iterable<{ outputs?: Outputs }> } };
}

/**
 * After a reload JupyterLab no longer knows which output an update of the kernel belongs to: the update is lost, and
 * the saved notebook would hold an old transcript. The text is Python's, made safe there.
 */
function writeMirror(manager: unknown, name: string, text: string): void {
  try {
    for (const { outputs } of (manager as Notebook).context?.model?.cells ?? []) {
      for (let index = 0; index < (outputs?.length ?? 0); index++) {
        const output = outputs!.get(index).toJSON();
        const shown = [output.data?.["text/markdown"] ?? ""].flat().join("");
        if (!shown.includes(titleOf(name)) || shown === text) continue;
        outputs!.set(index, { ...output, data: { "text/markdown": text, "text/plain": text } });
      }
    }
  } catch (error) {
    console.warn("[llama_nb] The transcript below the panel could not be refreshed.", error);
  }
}
