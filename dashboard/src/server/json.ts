/**
 * JSON without loss: whole numbers past 2^53 are read as `bigint` and written as they were.
 *
 * An id such as 12345678901234567890 is a number to whoever sent it, and another one once it was
 * rounded. A browser that does not tell what stood in the text (before 2025) rounds as ever.
 */

type Revive = (key: string, value: unknown, context?: { source?: string }) => unknown;

// TypeScript does not know yet what of JSON.parse and JSON came with ECMAScript 2026.
const parse = JSON.parse as (text: string, revive: Revive) => unknown;
const raw = JSON as unknown as { rawJSON: (text: string) => unknown };

/** No text without a match holds such a number; to revive takes several times as long. */
const MAY_BE_LARGE = /(?:^|[[:,\s])-?\d{16}/;
const WHOLE = /^-?\d+$/;

export function readJson(text: string): unknown {
  return MAY_BE_LARGE.test(text) ? parse(text, exact) : JSON.parse(text);
}

function exact(_: string, value: unknown, context?: { source?: string }): unknown {
  if (typeof value !== "number" || Number.isSafeInteger(value)) return value;
  const source = context?.source ?? "";
  return WHOLE.test(source) ? BigInt(source) : value;
}

export function writeJson(value: unknown, indent?: number): string {
  const write = (_: string, each: unknown) =>
    typeof each === "bigint" ? raw.rawJSON(String(each)) : each;
  return JSON.stringify(value, write, indent);
}
