/** A part of a JSON value that is small enough to be shown. */
import type { Json } from "../server/shapes";

export interface Part {
  value: Json;
  /** Whether something was left out. */
  isCut: boolean;
}

/** So many characters of a text count as one value. */
const TEXT = 100;
/** What is nested deeper is left out. */
const DEEPEST = 100;
/** With less a value would look empty that is not. */
const LEAST = 10;
/** The names of an object share its room, unless they are more. */
const SHARING = 50;

/**
 * The beginning of a value: as many values as there is room for, long texts counting as many.
 *
 * What has a few names shows something of each, however much the first of them holds.
 */
export function cut(value: Json, room: number): Part {
  let isCut = false;

  /** The part of a value, and how much room it took. */
  function part(each: Json, space: number, depth: number): [Json, number] {
    if (typeof each === "string") return text(each, space);
    if (each === null || typeof each !== "object") return [each, 1];
    if (depth > DEEPEST) {
      isCut = true;
      return ["…", 1];
    }
    return Array.isArray(each) ? list(each, space, depth) : object(each, space, depth);
  }

  function text(all: string, space: number): [string, number] {
    const length = TEXT * Math.max(1, space);
    if (all.length <= length) return [all, 1 + Math.floor(all.length / TEXT)];
    isCut = true;
    return [`${all.slice(0, length)}…`, space];
  }

  function list(values: Json[], space: number, depth: number): [Json[], number] {
    const kept: Json[] = [];
    let taken = 1;
    for (const each of values) {
      if (taken >= space) {
        isCut = true;
        break;
      }
      const [shown, size] = part(each, Math.max(LEAST, space - taken), depth + 1);
      kept.push(shown);
      taken += size;
    }
    return [kept, taken];
  }

  function object(
    values: Record<string, Json>,
    space: number,
    depth: number,
  ): [Record<string, Json>, number] {
    // Without a prototype, as a name may be `__proto__`.
    const kept = Object.create(null) as Record<string, Json>;
    const names = Object.keys(values);
    let taken = 1;
    let left = names.length <= SHARING ? names.length : 1;
    for (const name of names) {
      if (taken >= space) {
        isCut = true;
        break;
      }
      const share = Math.max(LEAST, Math.ceil((space - taken) / left));
      const [shown, size] = part(values[name] ?? null, share, depth + 1);
      kept[name] = shown;
      taken += size;
      left = Math.max(1, left - 1);
    }
    return [kept, taken];
  }

  return { value: part(value, room, 0)[0], isCut };
}
