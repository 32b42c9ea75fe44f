import { expect, it } from "vitest";
import { rate, read } from "./metrics";

it("sums a figure over its labels and passes comments over", () => {
  const text = '# HELP a b\na_total{route="/x"} 2\na_total{route="/y"} 3.5\nb 1e3\n';
  expect([...read(text)]).toEqual([
    ["a_total", 5.5],
    ["b", 1000],
  ]);
});

it("gives no rate before there are two looks, nor across a restart", () => {
  const at = (seconds: number, value: number) => ({
    at: seconds * 1000,
    figures: new Map([["a", value]]),
  });
  expect(rate("a", at(2, 30), null)).toBeNull();
  expect(rate("a", at(4, 30), at(2, 10))).toBe(10);
  expect(rate("a", at(4, 5), at(2, 10))).toBeNull();
});
