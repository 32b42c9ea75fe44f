import { expect, it } from "vitest";
import type { Histogram } from "../server/shapes";
import { inWords, stacked } from "./volume_words";

const data: Histogram = {
  since: "2026-01-01T00:00:00Z",
  until: "2026-01-01T00:02:00Z",
  interval: 60,
  bins: [
    { start: "2026-01-01T00:00:00Z", counts: { success: 5, failure: 1, "": 2 }, total: 8 },
    { start: "2026-01-01T00:01:00Z", counts: {}, total: 0 },
  ],
};

it("stacks failures in front of successes in front of all", () => {
  expect(stacked(data).slice(1)).toEqual([
    [8, 0],
    [6, 0],
    [1, 0],
  ]);
});

it("says the same in words", () => {
  expect(inWords(data)).toContain("8 events: 1 failure, 5 success, 2 without outcome");
});
