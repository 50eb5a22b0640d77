// What is said: turns, and the operations that make them grow. Knows llama_nb/panel.py's words; knows no DOM and no wire.
//
// Everything here is a value: an operation gives a new conversation in which the unchanged turns are the same objects.

const CALL_STATES = ["calling", "not run", "waiting", "running", "done", "failed", "denied", "stopped"] as const;
export type CallState = (typeof CALL_STATES)[number];
export interface Call {
  readonly kind: "call";
  readonly id?: string;
  readonly name: string;
  readonly text: string;
  readonly language?: string;
  readonly state: CallState;
  readonly digest?: string;
  /** What who decides should read, beside the call. */
  readonly notice?: string;
  /** `false`: it may be allowed once, and not for the chat. */
  readonly lasting?: boolean;
  readonly progress?: string;
  readonly result?: string;
  readonly bundle?: Readonly<Record<string, string>>;
  readonly seconds?: number;
}
export type Part = { readonly kind: "text" | "notice"; readonly text: string } | Call;
export type Decision = "once" | "chat" | "deny";
export type Phase = "queued" | "answering" | "done" | "stopped" | "cut" | "failed";

export interface Turn {
  readonly id: number;
  readonly question: string;
  readonly parts: readonly Part[];
  readonly phase: Phase;
  readonly error?: string;
  readonly figures?: Readonly<Record<string, number>>;
}

export interface Status {
  readonly model: string;
  readonly phase: "idle" | "loading" | "ready" | "failed";
  readonly detail: string;
  readonly fraction: number | null;
  /** Tokens: how many the latest prompt had, and how many the model takes. */
  readonly context: { readonly prompt_tokens: number; readonly max_seq_len: number } | null;
}

export interface Conversation {
  readonly seq: number;
  readonly turns: readonly Turn[];
  readonly status: Status;
}

export type Op =
  | { op: "turns"; turns: readonly Turn[] }
  | { op: "turn"; turn: Turn }
  | { op: "mark"; turn: number; fields: Partial<Turn> }
  | { op: "part"; turn: number; part: number; value: Part }
  | { op: "step"; turn: number; part: number; fields: Partial<Call> }
  | { op: "piece"; turn: number; part: number; text: string }
  | { op: "status"; status: Status };

export const nothing: Conversation = {
  seq: -1,
  turns: [],
  status: { model: "", phase: "idle", detail: "", fraction: null, context: null },
};

export const waitingCalls = (turns: readonly Turn[]): Call[] =>
  turns.flatMap((turn) => turn.parts.filter((part): part is Call => part.kind === "call" && part.state === "waiting"));

export const isOpen = (turn: Turn): boolean => turn.phase === "queued" || turn.phase === "answering";

export function apply(conversation: Conversation, op: Op): Conversation {
  const { turns } = conversation;
  switch (op.op) {
    case "turns":
      return { ...conversation, turns: op.turns };
    case "status":
      return { ...conversation, status: op.status };
    case "turn": {
      const known = turns.some((turn) => turn.id === op.turn.id);
      return { ...conversation, turns: known ? replace(turns, op.turn.id, () => op.turn) : [...turns, op.turn] };
    }
    case "mark":
      return { ...conversation, turns: replace(turns, op.turn, (turn) => ({ ...turn, ...op.fields })) };
    case "part":
      return {
        ...conversation,
        turns: replace(turns, op.turn, (turn) => ({ ...turn, parts: put(turn.parts, op.part, op.value) })),
      };
    case "piece":
      return { ...conversation, turns: change(turns, op, (part) => ({ ...part, text: part.text + op.text })) };
    case "step":
      return { ...conversation, turns: change(turns, op, (part) => ({ ...part, ...op.fields }) as Part) };
  }
}

const change = (turns: readonly Turn[], at: { turn: number; part: number }, made: (part: Part) => Part) =>
  replace(turns, at.turn, (turn) => {
    const part = turn.parts[at.part];
    return part ? { ...turn, parts: put(turn.parts, at.part, made(part)) } : turn;
  });

const replace = (turns: readonly Turn[], id: number, change: (turn: Turn) => Turn) =>
  turns.map((turn) => (turn.id === id ? change(turn) : turn));

const put = (parts: readonly Part[], index: number, part: Part) => [
  ...parts.slice(0, index),
  part,
  ...parts.slice(index + 1),
];

// --- Messages, as they come: late, twice, in any order, or not at all ------------------------------------------------

/** What has come so far. `ahead` holds the messages that cannot be applied until one before them comes. */
export interface Received {
  readonly conversation: Conversation;
  readonly ahead: ReadonlyMap<number, readonly Op[]>;
}

const MOST_AHEAD = 200;

export const start = (conversation: Conversation): Received => ({ conversation, ahead: new Map() });

/** Whether a message is missing, so that a snapshot is needed. */
export const isMissing = (received: Received): boolean => received.ahead.size > 0;

/** Message `seq`: it leads from state `seq - 1` to state `seq`, and is applied there alone, and once. */
export function receiveOps(received: Received, seq: number, ops: readonly Op[]): Received {
  if (received.ahead.size >= MOST_AHEAD) return received;
  return catchUp({ ...received, ahead: new Map(received.ahead).set(seq, ops) });
}

/** A whole conversation. An older one than ours says nothing new. */
export function receiveSnapshot(received: Received, snapshot: Conversation): Received {
  return snapshot.seq > received.conversation.seq ? catchUp({ ...received, conversation: snapshot }) : received;
}

function catchUp({ conversation, ahead }: Received): Received {
  const left = new Map([...ahead].filter(([seq]) => seq > conversation.seq));
  for (let ops = left.get(conversation.seq + 1); ops; ops = left.get(conversation.seq + 1)) {
    conversation = { ...ops.reduce(apply, conversation), seq: conversation.seq + 1 };
    left.delete(conversation.seq);
  }
  return { conversation, ahead: left };
}

// --- From a saved notebook, which anybody may have written ------------------------------------------------------------

/** A conversation out of whatever stands in `raw`; what makes no sense is left out. */
export function read(raw: unknown): Conversation {
  const { seq, turns, status } = record(raw);
  const { model, phase, detail, fraction, context } = record(status);
  const { prompt_tokens: used, max_seq_len: most } = record(context);
  return {
    seq: typeof seq === "number" ? seq : -1,
    turns: list(turns).map(readTurn),
    status: {
      model: text(model),
      phase: oneOf(phase, ["idle", "loading", "ready", "failed"], "idle"),
      detail: text(detail),
      fraction: typeof fraction === "number" ? fraction : null,
      context: isNumber(used) && isNumber(most) ? { prompt_tokens: used, max_seq_len: most } : null,
    },
  };
}

function readTurn(raw: unknown, index: number): Turn {
  const { id, question, parts, phase, error, figures } = record(raw);
  const numbers = Object.entries(record(figures)).filter((entry): entry is [string, number] =>
    Number.isFinite(entry[1]),
  );
  return {
    id: typeof id === "number" ? id : -1 - index,
    question: text(question),
    parts: list(parts).map(readPart),
    phase: oneOf(phase, ["queued", "answering", "done", "stopped", "cut", "failed"], "done"),
    ...(error === undefined ? {} : { error: text(error) }),
    figures: Object.fromEntries(numbers),
  };
}

function readPart(raw: unknown): Part {
  const part = record(raw);
  if (part["kind"] !== "call") return { kind: part["kind"] === "notice" ? "notice" : "text", text: text(part["text"]) };
  const { seconds, bundle, lasting } = part;
  const words = ["id", "language", "digest", "notice", "progress", "result"].filter(
    (name) => typeof part[name] === "string",
  );
  const shown = Object.entries(record(bundle)).filter((entry) => typeof entry[1] === "string");
  return {
    kind: "call",
    text: text(part["text"]),
    name: text(part["name"]),
    state: oneOf(part["state"], CALL_STATES, "not run"),
    ...Object.fromEntries(words.map((name) => [name, part[name]])),
    ...(shown.length ? { bundle: Object.fromEntries(shown) as Record<string, string> } : {}),
    ...(isNumber(seconds) ? { seconds } : {}),
    ...(lasting === false ? { lasting } : {}),
  };
}

const record = (raw: unknown) => (typeof raw === "object" && raw !== null ? raw : {}) as Record<string, unknown>;
const isNumber = (raw: unknown): raw is number => Number.isFinite(raw);
const list = (raw: unknown): unknown[] => (Array.isArray(raw) ? raw : []);
const text = (raw: unknown) => (typeof raw === "string" ? raw : "");
const oneOf = <T extends string>(raw: unknown, known: readonly T[], otherwise: T): T =>
  known.find((word) => word === raw) ?? otherwise;
