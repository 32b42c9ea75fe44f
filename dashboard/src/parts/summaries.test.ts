// @vitest-environment jsdom
import { expect, it } from "vitest";
import { asFilter, duration, standing } from "./summaries";

const NOW = Date.parse("2026-01-02T00:00:00Z");
const ago = (minutes: number) => new Date(NOW - minutes * 60_000).toISOString();
const agent = { kind: "agent", state: "running" as const };
const run = { kind: "run", state: "running" as const, last_type: "run.started" };

it("calls stuck what runs and has said nothing for long", () => {
  expect(standing({ ...agent, last_event_at: ago(14) }, NOW)).toBe("running");
  expect(standing({ ...agent, last_event_at: ago(16) }, NOW)).toBe("stuck");
  expect(standing({ ...agent, state: "done", last_event_at: ago(16) }, NOW)).toBe("done");
});

it("lets runs be quiet for a day, unless they were told to end", () => {
  expect(standing({ ...run, last_event_at: ago(600) }, NOW)).toBe("running");
  expect(standing({ ...run, last_event_at: ago(1500) }, NOW)).toBe("stuck");
  expect(standing({ ...run, last_type: "run.signaled", last_event_at: ago(16) }, NOW)).toBe(
    "stuck",
  );
});

it("asks for what is stuck as what runs and is quiet", () => {
  expect(asFilter("", NOW)).toEqual({});
  expect(asFilter("failed", NOW)).toEqual({ state: "failed" });
  expect(asFilter("running", NOW)).toEqual({ state: "running" });
  const { quiet_since, ...rest } = asFilter("stuck", NOW);
  expect(rest).toEqual({ state: "running" });
  const heard = (milliseconds: number) =>
    new Date(Date.parse(quiet_since ?? "") + milliseconds).toISOString();
  expect(standing({ ...agent, last_event_at: heard(0) }, NOW)).toBe("running");
  expect(standing({ ...agent, last_event_at: heard(-1) }, NOW)).toBe("stuck");
});

it("takes until now while it runs, else until its last event", () => {
  const times = { started_at: ago(10), last_event_at: ago(4) };
  expect(duration({ ...times, state: "running" }, NOW)).toBe(600);
  expect(duration({ ...times, state: "failed" }, NOW)).toBe(360);
});
