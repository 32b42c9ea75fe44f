import { expect, it } from "vitest";
import type { TreeNode } from "../server/shapes";
import { called, heardOf } from "./life";

const node = (id: string, parent: string | null, at: string | null, state = "running") =>
  ({ id, parent_id: parent, last_event_at: at, state }) as TreeNode;

it("hears of who waits through those it started", () => {
  const nodes = [
    node("w", null, "2026-01-01T00:00Z"),
    node("a", "w", "2026-01-01T00:01Z"),
    node("b", "a", "2026-01-01T00:09Z"),
    node("c", "w", "2026-01-01T00:02Z"),
    node("d", "w", null),
  ];
  expect(heardOf(nodes).map((each) => each.last_event_at)).toEqual([
    "2026-01-01T00:09Z",
    "2026-01-01T00:09Z",
    "2026-01-01T00:09Z",
    "2026-01-01T00:02Z",
    null,
  ]);
});

it("leaves alone what has ended", () => {
  const nodes = [
    node("w", null, "2026-01-01T00:00Z", "done"),
    node("a", "w", "2026-01-01T00:01Z", "done"),
  ];
  expect(heardOf(nodes)[0]?.last_event_at).toBe("2026-01-01T00:00Z");
});

it("calls by its id who gave no name", () => {
  expect(called({ id: "reader", name: "unknown" } as TreeNode)).toBe("reader");
  expect(called({ id: "a-1", name: "reader" } as TreeNode)).toBe("reader");
});
