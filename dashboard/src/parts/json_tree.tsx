/**
 * A JSON value as a tree to open and close.
 *
 * Of a large one a part is shown, and more of it when that is asked for: a tree of a hundred
 * thousand values would stop the page.
 */
import { useMemo, useState } from "react";
import { JsonView } from "react-json-view-lite";
import { writeJson } from "../server/json";
import type { Json } from "../server/shapes";
import { cut } from "./cut";
import "./json_tree.css";

const CLASSES = {
  container: "json",
  basicChildStyle: "json-child",
  childFieldsContainer: "json-children",
  label: "json-label",
  clickableLabel: "json-label",
  nullValue: "json-null",
  undefinedValue: "json-null",
  numberValue: "json-number",
  stringValue: "json-string",
  booleanValue: "json-boolean",
  otherValue: "json-number",
  punctuation: "json-punctuation",
  expandIcon: "json-expand",
  collapseIcon: "json-collapse",
  collapsedContent: "json-collapsed",
  noQuotesForStringValues: false,
};

const MOST_OPEN = 50;

/** Open two levels deep, but no long list. */
function isOpen(level: number, value: unknown): boolean {
  const size = Array.isArray(value) ? value.length : Object.keys(value ?? {}).length;
  return level < 2 && size <= MOST_OPEN;
}

/** A large number for the tree, which would put an `n` behind a bigint, and has dates told by this. */
class Digits extends Date {
  constructor(private readonly digits: string) {
    super(0);
  }

  override toISOString(): string {
    return this.digits;
  }
}

/** The value with its large numbers as the tree can draw them. */
function drawable(value: Json): unknown {
  if (typeof value === "bigint") return new Digits(String(value));
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) return value.map(drawable);
  const drawn = Object.create(null) as Record<string, unknown>;
  for (const name of Object.keys(value)) drawn[name] = drawable(value[name] ?? null);
  return drawn;
}

const FIRST_ROOM = 1_000;

export function JsonTree({ value }: { value: Json }) {
  const [room, setRoom] = useState(FIRST_ROOM);
  const part = useMemo(() => cut(value, room), [value, room]);
  const shown = useMemo(() => drawable(part.value), [part]);
  return (
    <>
      {shown === null || typeof shown !== "object" ? (
        <pre className="json">{writeJson(part.value)}</pre>
      ) : (
        <JsonView data={shown} shouldExpandNode={isOpen} style={CLASSES} />
      )}
      {part.isCut && (
        <p className="quiet">
          This is a part of it; all of it is in the raw view.{" "}
          <button type="button" className="small" onClick={() => setRoom(5 * room)}>
            Show more
          </button>
        </p>
      )}
    </>
  );
}
