import { describe, expect, it } from "vitest";
import type { Json } from "../server/shapes";
import { cut } from "./cut";

describe("a part of a value", () => {
  it.each<Json>([null, 1, "text", [1, [2, {}]], { a: { b: [null, false] } }])(
    "is all of what is small: %j",
    (value) => {
      expect(cut(value, 100)).toEqual({ value, isCut: false });
    },
  );

  it("is the beginning of what is large", () => {
    const list = Array.from({ length: 100_000 }, (_, n) => n);
    expect(cut(list, 50)).toEqual({ value: list.slice(0, 49), isCut: true });
  });

  it("has something of each name", () => {
    const list = Array.from({ length: 100_000 }, (_, n) => ({ n }));
    const { value, isCut } = cut({ list, after: "here", more: { of: list } }, 50);
    expect(isCut).toBe(true);
    expect(Object.keys(value as object)).toEqual(["list", "after", "more"]);
    const { after, more } = value as { after: string; more: { of: Json[] } };
    expect(after).toBe("here");
    expect(more.of.length).toBeLessThan(50);
    expect(more.of).toEqual(list.slice(0, more.of.length));
  });

  it("is the beginning of what has many names", () => {
    const names = Object.fromEntries(Array.from({ length: 100_000 }, (_, n) => [`k${n}`, n]));
    const { value, isCut } = cut(names, 50);
    expect(isCut).toBe(true);
    expect(Object.keys(value as object)).toHaveLength(49);
  });

  it("is the beginning of what is long", () => {
    const { value, isCut } = cut(["x".repeat(1_000_000), 1], 50);
    expect(isCut).toBe(true);
    expect(JSON.stringify(value).length).toBeLessThan(10_000);
  });

  it("is not deeper than can be shown", () => {
    let nested: Json = 1;
    for (let n = 0; n < 5000; n += 1) nested = [nested];
    expect(cut(nested, 10_000).isCut).toBe(true);
  });

  it("keeps a name that means something else to JavaScript", () => {
    const value = JSON.parse('{"__proto__": 1}') as Json;
    expect(JSON.stringify(cut(value, 10).value)).toBe('{"__proto__":1}');
  });
});
