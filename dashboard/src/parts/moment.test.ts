import { expect, it } from "vitest";
import { ago, lasting } from "./moment";

it.each([
  [0, "now"],
  [5_000, "5 s ago"],
  [125_000, "2 m ago"],
  [7_300_000, "2 h ago"],
  [200_000_000, "2 d ago"],
  [-5_000, "in 5 s"],
])("%d milliseconds ago", (passed, words) => {
  expect(ago(0, passed)).toBe(words);
});

it.each([
  [0.0123, "12 ms"],
  [3.21, "3.2 s"],
  [42, "42 s"],
  [125, "2 m 5 s"],
  [7300, "2 h 1 m"],
  [200_000, "2 d 7 h"],
])("%d seconds long", (seconds, words) => {
  expect(lasting(seconds)).toBe(words);
});
