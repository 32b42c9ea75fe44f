// @vitest-environment jsdom
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { EventItem } from "../server/shapes";
import type { Connection } from "./connection";
import { said } from "./connection";
import { type Gap, LiveStream } from "./stream";

/** A server's answers, given out one after the other. */
class Answers {
  readonly asked: { url: URL; headers: Record<string, string> }[] = [];
  private writers: ReadableStreamDefaultController<Uint8Array>[] = [];
  private failures: (Response | Error)[] = [];

  fail(...failures: (Response | Error)[]): void {
    this.failures.push(...failures);
  }

  readonly fetch = (url: URL, init: RequestInit): Promise<Response> => {
    this.asked.push({ url, headers: init.headers as Record<string, string> });
    const failure = this.failures.shift();
    if (failure instanceof Error) return Promise.reject(failure);
    if (failure !== undefined) return Promise.resolve(failure);
    const body = new ReadableStream<Uint8Array>({
      start: (writer) => void this.writers.push(writer),
    });
    return Promise.resolve(
      new Response(body, { headers: { "content-type": "text/event-stream" } }),
    );
  };

  write(text: string): void {
    this.writers.at(-1)?.enqueue(new TextEncoder().encode(text));
  }

  end(): void {
    this.writers.at(-1)?.close();
  }
}

let answers: Answers;
let events: EventItem[];
let states: Connection[];
let gaps: Gap[];
let stream: LiveStream;

beforeEach(() => {
  vi.useFakeTimers();
  answers = new Answers();
  [events, states, gaps] = [[], [], []];
  vi.stubGlobal("fetch", answers.fetch);
});

afterEach(() => {
  stream.stop();
  vi.useRealTimers();
});

function follow(after: number | null): void {
  stream = new LiveStream(
    { filters: new URLSearchParams("type=job.*"), after },
    {
      took: (batch) => void events.push(...batch),
      changed: (state) => void states.push(state),
      missed: (gap) => void gaps.push(gap),
    },
  );
  stream.start();
}

const settle = () => vi.advanceTimersByTimeAsync(1);
const last = () => states.at(-1)?.is;
const frame = (position: number) => `id: ${position}\ndata: {"position":${position}}\n\n`;
const refusal = (status: number, headers: Record<string, string> = {}) =>
  new Response(JSON.stringify({ type: "x", title: "x", status, detail: "why not" }), {
    status,
    headers: { "content-type": "application/problem+json", ...headers },
  });

describe("the live stream", () => {
  it("asks with its filters and goes on from its position after a break", async () => {
    follow(41);
    await settle();
    answers.write(frame(42) + frame(43));
    await settle();
    expect(events.map((event) => event.position)).toEqual([42, 43]);
    answers.end();
    await settle();
    expect(last()).toBe("retrying");
    await vi.advanceTimersByTimeAsync(20_000);
    expect(answers.asked.map((each) => each.headers["last-event-id"])).toEqual(["41", "43"]);
    expect(answers.asked[0]?.url.search).toBe("?type=job.*&event=none");
  });

  it("remembers a position that came without an event", async () => {
    follow(null);
    await settle();
    answers.write("retry: 2000\nid: 7\n\n");
    await settle();
    answers.end();
    await vi.advanceTimersByTimeAsync(20_000);
    expect(answers.asked.map((each) => each.headers["last-event-id"])).toEqual([undefined, "7"]);
  });

  it("remembers a position that came in pieces", async () => {
    follow(null);
    await settle();
    for (const piece of ["id: 1", "2\n", "\n"]) {
      answers.write(piece);
      await settle();
    }
    answers.end();
    await vi.advanceTimersByTimeAsync(20_000);
    expect(answers.asked.map((each) => each.headers["last-event-id"])).toEqual([undefined, "12"]);
  });

  it("forgets half an event when the connection breaks, and asks for it again", async () => {
    follow(0);
    await settle();
    answers.write(`${frame(1)}id: 2\ndata: {"posi`);
    await settle();
    answers.end();
    await vi.advanceTimersByTimeAsync(20_000);
    expect(answers.asked.map((each) => each.headers["last-event-id"])).toEqual(["0", "1"]);
    answers.write(frame(2));
    await settle();
    expect(events.map((event) => event.position)).toEqual([1, 2]);
  });

  it("keeps an event whole that comes in pieces", async () => {
    follow(0);
    await settle();
    answers.write("id: 1\nda");
    await settle();
    answers.write('ta: {"position":1}\n');
    await settle();
    expect(events).toEqual([]);
    answers.write("\n");
    await settle();
    expect(events.map((event) => event.position)).toEqual([1]);
  });

  it("is connected once it has caught up", async () => {
    follow(0);
    await settle();
    expect(last()).toBe("catching-up");
    await vi.advanceTimersByTimeAsync(400);
    expect(last()).toBe("connected");
  });

  it("comes back however often a proxy answers for a server that is away", async () => {
    const gateway = () => new Response("bad gateway", { status: 502, statusText: "Bad Gateway" });
    const page = new Response("<html>Sorry", { headers: { "content-type": "text/html" } });
    answers.fail(gateway(), page, new TypeError("fetch failed"));
    follow(5);
    await vi.advanceTimersByTimeAsync(20_000);
    expect(answers.asked).toHaveLength(4);
    expect(states.filter((state) => state.is === "retrying").at(1)).toMatchObject({
      why: expect.stringContaining("text/html") as string,
    });
    expect(last()).toBe("connected");
  });

  it("waits as long as the server asks for", async () => {
    answers.fail(refusal(429, { "retry-after": "30" }));
    follow(5);
    await vi.advanceTimersByTimeAsync(29_000);
    expect(answers.asked).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(answers.asked).toHaveLength(2);
  });

  it("stops asking what is refused, and says why", async () => {
    answers.fail(refusal(422));
    follow(5);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(answers.asked).toHaveLength(1);
    expect(states.at(-1)).toEqual({ is: "refused", status: 422, what: "why not" });
  });

  it("notices that a connection has fallen silent", async () => {
    follow(5);
    await settle();
    await vi.advanceTimersByTimeAsync(39_000);
    answers.write(":\n");
    await vi.advanceTimersByTimeAsync(39_000);
    expect(answers.asked).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(30_000);
    expect(answers.asked).toHaveLength(2);
  });

  describe("behind by too much", () => {
    const head = (position: number) =>
      new Response(JSON.stringify({ events: [{ position }] }), {
        headers: { "content-type": "application/json" },
      });

    it("goes on from the newest after a long time away, and says so", async () => {
      follow(5);
      await settle();
      answers.fail(refusal(503, { "retry-after": "70" }), head(300_000));
      answers.end();
      await vi.advanceTimersByTimeAsync(80_000);
      expect(gaps).toEqual([{ reason: "far", first: 300_001 }]);
      expect(answers.asked.at(-1)?.headers["last-event-id"]).toBe("300000");
    });

    it("does so, too, while it streams and does not come nearer", async () => {
      follow(5);
      await settle();
      const old = (position: number) =>
        `id: ${position}\ndata: {"position":${position},"recorded_at":"2020-01-01T00:00:00Z"}\n\n`;
      answers.write(old(6));
      await vi.advanceTimersByTimeAsync(4_000);
      answers.fail(head(300_000));
      answers.write(old(7));
      await settle();
      expect(gaps).toEqual([{ reason: "far", first: 300_001 }]);
      answers.write('id: 300001\ndata: {"position":300001}\n\n');
      await settle();
      expect(events.map((event) => event.position)).toEqual([6, 7, 300_001]);
    });
  });

  describe("out of sight", () => {
    const look = (visibility: string) => {
      vi.spyOn(document, "visibilityState", "get").mockReturnValue(visibility as "visible");
      document.dispatchEvent(new Event("visibilitychange"));
    };

    it("lets go of its connection, and goes on where it was when it is seen", async () => {
      follow(5);
      await settle();
      answers.write(frame(6));
      await settle();
      look("hidden");
      await vi.advanceTimersByTimeAsync(10_000);
      expect(last()).toBe("connected");
      await vi.advanceTimersByTimeAsync(60_000);
      expect(last()).toBe("resting");
      answers.fail(
        new Response('{"events": [{"position": 9}]}', {
          headers: { "content-type": "application/json" },
        }),
      );
      look("visible");
      await settle();
      expect(answers.asked.at(-1)?.headers["last-event-id"]).toBe("6");
      expect(gaps).toEqual([]);
    });

    it("does not begin before it is seen", async () => {
      look("hidden");
      follow(5);
      await settle();
      expect(answers.asked).toHaveLength(0);
      look("visible");
      await settle();
      expect(answers.asked).toHaveLength(1);
    });
  });

  it("tells of a gap", async () => {
    follow(5);
    await settle();
    answers.write('id: 99\nevent: gap\ndata: {"reason":"pruned","first":100}\n\n');
    await settle();
    expect(gaps).toEqual([{ reason: "pruned", first: 100 }]);
    expect(events).toEqual([]);
  });
});

describe("its state in words", () => {
  it("counts down", () => {
    const state: Connection = { is: "retrying", at: 5000, why: "", attempt: 1 };
    expect(said(state, 1500)).toBe("Connection lost, retrying in 4 s");
    expect(said({ ...state, attempt: 3 }, 1500)).toBe("Server away, retrying in 4 s");
    expect(said(state, 6000)).toBe("Connection lost, retrying");
  });
});
