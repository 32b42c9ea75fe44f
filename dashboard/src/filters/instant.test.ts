import { expect, it } from "vitest";
import { instant } from "./instant";

const NOW = Date.parse("2026-01-31T12:00:00Z");

it.each([
  ["2h", "2026-01-31T10:00:00.000Z"],
  ["30 m", "2026-01-31T11:30:00.000Z"],
  ["2026-01-30", "2026-01-30T00:00:00.000Z"],
  ["2026-01-30 08:15", "2026-01-30T08:15:00.000Z"],
  ["2026-01-30T08:15+02:00", "2026-01-30T06:15:00.000Z"],
  ["2026-01-30T08:15Z", "2026-01-30T08:15:00.000Z"],
  ["yesterday", null],
])("%s, by a clock that shows UTC", (text, at) => {
  expect(instant(text, NOW, true)).toBe(at);
});

it("goes by the clock on the wall where that is shown", () => {
  const at = new Date(2026, 0, 30, 8, 15).toISOString();
  expect(instant("2026-01-30T08:15", NOW, false)).toBe(at);
});
