import { expect, it } from "vitest";
import { bytes, counted } from "./amounts";

it("writes sizes", () => {
  expect([0, 999, 1000, 1.5e9].map(bytes)).toEqual(["0 B", "999 B", "1.0 kB", "1.5 GB"]);
});

it("counts one thing and many", () => {
  expect([0, 1, 1234].map((n) => counted(n, "event"))).toEqual([
    "0 events",
    "1 event",
    "1,234 events",
  ]);
});
