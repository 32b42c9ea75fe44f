// @vitest-environment jsdom
import { beforeEach, describe, expect, it, vi } from "vitest";
import type { EventItem, Json } from "../server/shapes";
import { rowOf } from "./row";
import { MOST, READABLE, Rows } from "./rows";

let frames: FrameRequestCallback[] = [];

beforeEach(() => {
  frames = [];
  vi.stubGlobal("requestAnimationFrame", (callback: FrameRequestCallback) => frames.push(callback));
  vi.stubGlobal("cancelAnimationFrame", () => undefined);
});

function frame(): void {
  const due = frames;
  frames = [];
  for (const each of due) each(0);
}

function event(position: number, more: Partial<EventItem> = {}): EventItem {
  return {
    id: `e${position}`,
    type: "job_done",
    project: "p",
    status: "success",
    payload: { n: position },
    source: "local",
    timestamp: "2026-01-01T00:00:00Z",
    aggregate_type: "agent_aggregate",
    aggregate_id: "a",
    event_type: "AgentEvent",
    version: 1,
    correlation_id: null,
    causation_id: null,
    user_id: null,
    context: {},
    extensions: {},
    position,
    recorded_at: null,
    redacted: false,
    ...more,
  };
}

const events = (from: number, count: number) =>
  Array.from({ length: count }, (_, i) => event(from + i));

describe("the rows", () => {
  it("take in once a frame", () => {
    const rows = new Rows();
    rows.take(events(1, 2));
    rows.take(events(3, 2));
    expect(rows.snapshot().length).toBe(0);
    frame();
    expect(rows.snapshot().rows.map((row) => row.position)).toEqual([1, 2, 3, 4]);
  });

  it("stay as they are while paused, count what comes, and lose none of it", () => {
    const rows = new Rows();
    rows.take(events(1, 3));
    frame();
    rows.pause();
    rows.take(events(4, 5));
    frame();
    expect(rows.snapshot()).toMatchObject({ length: 3, fresh: 5, paused: true });
    rows.resume();
    expect(rows.snapshot()).toMatchObject({ length: 8, fresh: 0, paused: false });
  });

  it("keep every one that comes in haste, and say that it is too fast to be read", () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
    const rows = new Rows();
    rows.take(events(1, 2 * READABLE));
    frame();
    expect(rows.snapshot().rate).toBe(0);
    vi.advanceTimersByTime(1000);
    rows.take(events(1 + 2 * READABLE, 2));
    frame();
    expect(rows.snapshot().rate).toBeGreaterThan(READABLE);
    expect(rows.snapshot().length).toBe(2 * READABLE + 2);
    vi.advanceTimersByTime(3000);
    expect(rows.snapshot().rate).toBe(0);
    vi.useRealTimers();
  });

  it("take nothing in twice", () => {
    const rows = new Rows();
    rows.take(events(1, 3));
    rows.take(events(2, 3));
    frame();
    expect(rows.snapshot().rows.map((row) => row.position)).toEqual([1, 2, 3, 4]);
  });

  it("keep the newest when there are too many, and know what is to be read again", () => {
    const rows = new Rows();
    rows.take(events(1, 10));
    frame();
    rows.pause();
    const [before] = rows.snapshot().rows;
    for (let n = 0; n < 24; n += 1) {
      rows.take(events(11 + n * 5000, 5000));
      frame();
    }
    expect(rows.snapshot()).toMatchObject({ length: 10, fresh: 24 * 5000, floor: null });
    expect(rows.snapshot().rows[0]).toBe(before);
    rows.resume();
    const { rows: kept, floor, taken } = rows.snapshot();
    expect(kept.length).toBeLessThanOrEqual(MOST * 1.1);
    expect(kept.at(-1)?.position).toBe(24 * 5000 + 10);
    expect(floor).toBe(kept[0]?.position);
    expect(taken).toBe(24 * 5000 + 10);
  });

  it("let go of what leaves the time that is shown, unless they are looked at", () => {
    const rows = new Rows();
    const at = (minute: number) => ({ timestamp: `2026-01-01T00:0${minute}:00Z` });
    rows.take([event(1, at(1)), event(2, at(5)), event(3, at(2))]);
    frame();
    rows.pause();
    rows.expire(Date.parse(at(3).timestamp));
    expect(rows.snapshot().length).toBe(3);
    rows.resume();
    rows.expire(Date.parse(at(3).timestamp));
    expect(rows.snapshot().rows.map((row) => row.position)).toEqual([2, 3]);
  });

  it("do not wait for frames that never come", () => {
    const rows = new Rows();
    rows.take(events(1, 5001));
    expect(rows.snapshot().rows.length).toBeGreaterThan(0);
  });
});

describe("a row", () => {
  it("says what the payload holds, in a line", () => {
    expect(rowOf(event(1, { payload: { host: "n1", ok: true, list: [1] } })).says).toBe(
      "host=n1  ok=true  list=[1]",
    );
    expect(rowOf(event(1, { payload: "text" })).says).toBe("text");
    const large = 12345678901234567890n;
    expect(rowOf(event(1, { payload: { id: large, of: [large] } })).says).toBe(
      `id=${large}  of=[${large}]`,
    );
    expect(rowOf(event(1, { payload: null })).says).toBe("");
    expect(rowOf(event(1, { redacted: true })).says).toBe("(redacted)");
    expect(rowOf(event(1, { payload: { text: "x".repeat(10_000) } })).says.length).toBeLessThan(
      200,
    );
  });

  it("is small whatever the payload holds", () => {
    const deep: Json = { list: Array.from({ length: 100_000 }, (_, n) => ({ n })) };
    let nested: Json = [];
    for (let n = 0; n < 1000; n += 1) nested = [nested];
    for (const payload of [deep, nested, "x".repeat(1_000_000)]) {
      expect(rowOf(event(1, { payload })).says.length).toBeLessThan(200);
    }
  });

  it("names what the event is about", () => {
    expect(rowOf(event(1)).about).toBe("agent/a");
    expect(rowOf(event(1, { aggregate_id: "" })).about).toBe("");
  });
});
