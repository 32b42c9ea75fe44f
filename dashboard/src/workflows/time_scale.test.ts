import { describe, expect, it } from "vitest";
import { moved, place, sinceStart, ticks, zoomed } from "./time_scale";

const whole = { from: 1000, to: 11_000 };

describe("the time scale", () => {
  it("places instants", () => {
    expect(place(1000, whole)).toBe(0);
    expect(place(6000, whole)).toBe(0.5);
  });

  it("marks round times since the beginning, and not too many", () => {
    expect(ticks(whole, 1000, 8)).toEqual([1000, 3000, 5000, 7000, 9000, 11_000]);
    expect(ticks({ from: 0, to: 30 * 864e5 }, 0, 8).length).toBeLessThanOrEqual(9);
  });

  it("zooms around an instant, and not out of the whole", () => {
    expect(zoomed(whole, whole, 6000, 0.5)).toEqual({ from: 3500, to: 8500 });
    expect(zoomed({ from: 3500, to: 8500 }, whole, 3500, 4)).toEqual(whole);
  });

  it("moves, and stops at the ends", () => {
    expect(moved({ from: 3500, to: 8500 }, whole, 1)).toEqual({ from: 6000, to: 11_000 });
    expect(moved({ from: 3500, to: 8500 }, whole, -1)).toEqual({ from: 1000, to: 6000 });
  });

  it.each([
    [0, 5000, "+0 s"],
    [15_000, 5000, "+15 s"],
    [90_000, 30_000, "+1 m 30 s"],
    [7_200_000, 3_600_000, "+2 h"],
    [1500, 500, "+1.5 s"],
    [20, 20, "+20 ms"],
  ])("says how long after the beginning %d ms is", (at, step, words) => {
    expect(sinceStart(at, step)).toBe(words);
  });
});
