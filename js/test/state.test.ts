import { describe, expect, it } from "vitest";
import {
  apply,
  type Conversation,
  isMissing,
  nothing,
  type Op,
  type Received,
  read,
  receiveOps,
  receiveSnapshot,
  start,
  type Turn,
  waitingCalls,
} from "../src/state";

declare const process: { env: Record<string, string | undefined> };

const empty: Conversation = { ...nothing, seq: 0 };
const turn = (id: number, fields: Partial<Turn> = {}): Turn => ({
  id,
  question: `question ${id}`,
  parts: [],
  phase: "queued",
  ...fields,
});
const textOf = (conversation: Conversation) =>
  conversation.turns.map((turn) => turn.parts.map((part) => part.text).join("|"));

describe("an operation", () => {
  it("makes text grow in its part, and leaves the other turns the same objects", () => {
    const one = turn(1, { parts: [{ kind: "text", text: "one" }] });
    const two = turn(2, { parts: [{ kind: "text", text: "tw" }] });
    const after = apply({ ...empty, turns: [one, two] }, { op: "piece", turn: 2, part: 0, text: "o" });
    expect(textOf(after)).toEqual(["one", "two"]);
    expect(after.turns[0]).toBe(one);
    expect(after.turns[1]).not.toBe(two);
  });

  it("puts a turn once, however often it comes", () => {
    const put: Op = { op: "turn", turn: turn(1) };
    expect(apply(apply(empty, put), put).turns).toHaveLength(1);
  });

  it("marks, replaces parts, replaces all turns, and sets the status", () => {
    let now = apply(empty, { op: "turn", turn: turn(1) });
    now = apply(now, {
      op: "part",
      turn: 1,
      part: 0,
      value: { kind: "call", name: "f", text: "{}", state: "not run" },
    });
    now = apply(now, { op: "mark", turn: 1, fields: { phase: "done" } });
    expect(now.turns[0]).toMatchObject({ phase: "done", parts: [{ name: "f", state: "not run" }] });
    expect(apply(now, { op: "turns", turns: [] }).turns).toEqual([]);
    const status = { model: "m", phase: "loading", detail: "", fraction: 0.5, context: null } as const;
    expect(apply(now, { op: "status", status }).status).toBe(status);
  });

  it("takes a call a step on, and leaves what the step does not name", () => {
    const waits = { kind: "call", id: "c", name: "f", text: "{}", state: "waiting", digest: "d" } as const;
    const now = apply(empty, { op: "turn", turn: turn(1, { parts: [waits] }) });
    const after = apply(now, { op: "step", turn: 1, part: 0, fields: { state: "running", digest: "" } });
    expect(after.turns[0]?.parts).toEqual([{ ...waits, state: "running", digest: "" }]);
    expect(waitingCalls(now.turns)).toEqual([waits]);
    expect(waitingCalls(after.turns)).toEqual([]);
  });

  it("for a turn or a part that is not there changes nothing", () => {
    const now = apply(empty, { op: "turn", turn: turn(1) });
    expect(apply(now, { op: "piece", turn: 9, part: 0, text: "x" }).turns).toEqual(now.turns);
    expect(apply(now, { op: "piece", turn: 1, part: 3, text: "x" }).turns).toEqual(now.turns);
    expect(apply(now, { op: "step", turn: 1, part: 3, fields: { state: "done" } }).turns).toEqual(now.turns);
  });
});

describe("messages", () => {
  const message = (seq: number, text: string): [number, Op[]] => [seq, [{ op: "piece", turn: 1, part: 0, text }]];
  const begun = start({ ...empty, turns: [turn(1, { parts: [{ kind: "text", text: "" }] })] });

  it("are applied once, in order", () => {
    let now = receiveOps(begun, ...message(1, "a"));
    now = receiveOps(now, ...message(1, "a"));
    now = receiveOps(now, ...message(2, "b"));
    expect(textOf(now.conversation)).toEqual(["ab"]);
    expect(isMissing(now)).toBe(false);
  });

  it("wait for the one before them", () => {
    let now = receiveOps(begun, ...message(2, "b"));
    expect(textOf(now.conversation)).toEqual([""]);
    expect(isMissing(now)).toBe(true);
    now = receiveOps(now, ...message(1, "a"));
    expect(textOf(now.conversation)).toEqual(["ab"]);
    expect(isMissing(now)).toBe(false);
  });

  it("that a snapshot holds already are dropped, those after it are applied", () => {
    let now = receiveOps(begun, ...message(3, "c"));
    now = receiveOps(now, ...message(2, "b"));
    now = receiveSnapshot(now, { ...empty, seq: 2, turns: [turn(1, { parts: [{ kind: "text", text: "ab" }] })] });
    expect(textOf(now.conversation)).toEqual(["abc"]);
  });

  it("that are ahead without end are not kept without end", () => {
    let now: Received = begun;
    for (let seq = 2; seq < 1000; seq++) now = receiveOps(now, ...message(seq, "x"));
    expect(now.ahead.size).toBeLessThanOrEqual(200);
  });

  it("an older snapshot says nothing new", () => {
    const now = receiveOps(begun, ...message(1, "a"));
    expect(receiveSnapshot(now, { ...empty, seq: 0 })).toBe(now);
  });
});

/** A kernel that says something different each time, after a seed. */
function history(random: () => number, length: number) {
  const messages: Op[][] = [];
  const states: Conversation[] = [empty];
  for (let seq = 1; seq <= length; seq++) {
    const now = states.at(-1)!;
    const last = now.turns.at(-1);
    const ops: Op[] = [];
    for (let count = 1 + Math.floor(random() * 3); count > 0; count--) {
      const dice = random();
      if (!last || dice < 0.05) ops.push({ op: "turn", turn: turn(seq * 10 + count) });
      else if (dice < 0.1) ops.push({ op: "mark", turn: last.id, fields: { phase: "done" } });
      else if (dice < 0.3) {
        const name = `f${seq}`;
        ops.push({
          op: "part",
          turn: last.id,
          part: last.parts.length,
          value: { kind: "call", name, text: "", state: "calling" },
        });
      } else
        ops.push({ op: "piece", turn: last.id, part: Math.max(0, last.parts.length - 1), text: `${seq}.${count} ` });
    }
    messages.push(ops);
    states.push({ ...ops.reduce(apply, now), seq });
  }
  return { messages, states };
}

/** mulberry32: the same numbers for the same seed. */
function numbers(seed: number) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

describe("whatever the wire does", () => {
  const FULL = process.env["LLAMA_NB_FULL"] === "1";

  it("the page ends with the kernel's own conversation", () => {
    for (let seed = 1; seed <= (FULL ? 5000 : 300); seed++) {
      const random = numbers(seed);
      const { messages, states } = history(random, 60);
      // Each message may be lost, come twice, or come up to four places late.
      const arriving = messages
        .flatMap((ops, index) => {
          const times = random() < 0.1 ? 0 : random() < 0.1 ? 2 : 1;
          return Array.from({ length: times }, () => ({ at: index + random() * random() * 5, seq: index + 1, ops }));
        })
        .sort((a, b) => a.at - b.at);
      let now = start(empty);
      let snapshotAt = Number.POSITIVE_INFINITY;
      for (const { at, seq, ops } of arriving) {
        if (at >= snapshotAt) {
          now = receiveSnapshot(now, states[Math.min(states.length - 1, Math.floor(snapshotAt))]!);
          snapshotAt = Number.POSITIVE_INFINITY;
        }
        now = receiveOps(now, seq, ops);
        if (isMissing(now) && snapshotAt === Number.POSITIVE_INFINITY) snapshotAt = at + random() * 5;
        // Never anything but a state that the kernel was in.
        expect(now.conversation, `seed ${seed}`).toEqual(states[now.conversation.seq]);
      }
      // `state` is written at the end of a turn: what was lost at the very end comes so.
      now = receiveSnapshot(now, states.at(-1)!);
      expect(now.conversation, `seed ${seed}`).toEqual(states.at(-1));
      expect(isMissing(now)).toBe(false);
    }
  });
});

describe("a saved notebook", () => {
  it("is read as it was written", () => {
    const conversation: Conversation = {
      seq: 7,
      status: {
        model: "m",
        phase: "ready",
        detail: "",
        fraction: null,
        context: { prompt_tokens: 12, max_seq_len: 2048 },
      },
      turns: [
        turn(3, {
          phase: "failed",
          error: "no",
          figures: { completion_tokens: 3 },
          parts: [
            { kind: "text", text: "t" },
            { kind: "call", name: "f", text: "{}", state: "done", result: "r" },
            { kind: "notice", text: "n" },
            {
              kind: "call",
              id: "c1",
              name: "f",
              text: "1",
              language: "python",
              state: "waiting",
              digest: "d",
              notice: "n",
              lasting: false,
              progress: "p",
              bundle: { "text/html": "<b>h</b>" },
              seconds: 1.5,
            },
          ],
        }),
      ],
    };
    expect(read(JSON.parse(JSON.stringify(conversation)))).toEqual(conversation);
  });

  it("of before there were steps is read", () => {
    const old = { kind: "call", name: "f", text: "{}", state: "done", result: "r" };
    expect(read({ seq: 1, turns: [{ id: 1, question: "q", parts: [old], phase: "done" }] }).turns[0]?.parts).toEqual([
      old,
    ]);
    expect(read({ status: { model: "m", phase: "ready", detail: "", fraction: null } }).status.context).toBeNull();
  });

  it("with a call that makes no sense is a call all the same", () => {
    const strange = {
      kind: "call",
      id: 1,
      name: {},
      state: "flying",
      digest: [],
      notice: 2,
      lasting: "false",
      bundle: { a: 1, b: "x" },
      seconds: "1",
    };
    const parts = read({ turns: [{ parts: [strange, { kind: "notice" }, { kind: "call", bundle: "x" }] }] }).turns[0]
      ?.parts;
    expect(parts).toEqual([
      { kind: "call", name: "", text: "", state: "not run", bundle: { b: "x" } },
      { kind: "notice", text: "" },
      { kind: "call", name: "", text: "", state: "not run" },
    ]);
  });

  it("may hold anything", () => {
    const strange = [
      null,
      undefined,
      1,
      "x",
      [],
      {},
      { turns: 3 },
      { turns: [null, 1, { parts: [null, { kind: 9 }] }] },
    ];
    for (const raw of [...strange, { seq: "7", turns: {}, status: [] }, { status: { fraction: "x", model: {} } }]) {
      expect(() => read(raw)).not.toThrow();
      expect(read(raw).seq).toBe(-1);
    }
  });
});
