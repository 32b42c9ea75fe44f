import { describe, expect, it } from "vitest";
import { readJson, writeJson } from "./json";

const LARGE = "12345678901234567890";

describe("JSON without loss", () => {
  it.each([
    LARGE,
    `-${LARGE}`,
    "9007199254740993",
    `[${LARGE},1]`,
    `{"id":${LARGE},"in":{"list":[{"id":-${LARGE}}]},"text":"${LARGE}"}`,
    `{"__proto__":${LARGE}}`,
    "9007199254740991",
    '{"n":1,"x":0.25,"none":null,"yes":true}',
  ])("writes %s as it was read", (text) => {
    expect(writeJson(readJson(text))).toBe(text);
  });

  it("reads as numbers what numbers can hold", () => {
    expect(readJson('{"a": 9007199254740991, "b": 1e300, "c": 0.12345678901234567890}')).toEqual({
      a: 9007199254740991,
      b: 1e300,
      c: 0.12345678901234568,
    });
  });

  it("finds large numbers wherever they stand", () => {
    expect(readJson(`{"a": [ ${LARGE},\n-${LARGE}]}`)).toEqual({
      a: [BigInt(LARGE), -BigInt(LARGE)],
    });
  });

  it("leaves texts alone that look like it", () => {
    const text = `{"a":"x:${LARGE}","b":"${LARGE}"}`;
    expect(readJson(text)).toEqual({ a: `x:${LARGE}`, b: LARGE });
  });

  it("says what is no JSON", () => {
    expect(() => readJson(`{"a": ${LARGE}`)).toThrow(SyntaxError);
  });

  it("writes with an indent", () => {
    expect(writeJson({ id: BigInt(LARGE) }, 2)).toBe(`{\n  "id": ${LARGE}\n}`);
  });
});
