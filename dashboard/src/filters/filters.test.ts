import { describe, expect, it } from "vitest";
import { Filters, read } from "./filters";

describe("what a person types", () => {
  it.each([
    ["type:job.*", { name: "type", value: "job.*" }],
    ["-status:failure", { name: "not.status", value: "failure" }],
    ["workflow:w-1", { name: "correlation_id", value: "w-1" }],
    ["outcome:success", { name: "status", value: "success" }],
    ["payload.host=n12", { name: "payload.host", value: "n12" }],
    ["payload.n:=3", { name: "payload.n:", value: "3" }],
    ["project:", { name: "project", value: "" }],
    ["out of memory", { name: "contains", value: "out of memory" }],
    ["http://x", { name: "contains", value: "http://x" }],
    ["-user:me", { name: "contains", value: "-user:me" }],
  ])("%s", (text, filter) => {
    expect(read(text)).toEqual(filter);
  });

  it("is nothing where it is blank", () => {
    expect(read("   ")).toBeNull();
  });
});

describe("filters", () => {
  it("leave out of account what is not theirs", () => {
    expect(new Filters("type=a&state=failed&limit=3").toString()).toBe("type=a");
  });

  it("never ask for a value and exclude it", () => {
    const filters = new Filters("type=a").with("not.type", "a");
    expect(filters.toString()).toBe("not.type=a");
    expect(filters.flipped({ name: "not.type", value: "a" }).toString()).toBe("type=a");
  });

  it("hold one text, one range, and either a range or a time", () => {
    expect(new Filters("contains=a").with("contains", "b").text).toBe("b");
    const ranged = new Filters("since=2026-01-01T00:00:00Z").with("range", "1h");
    expect(ranged.toString()).toBe("range=1h");
    expect(ranged.with("until", "2026-01-01T00:00:00Z").range).toBe("");
  });

  it("become the server's parameters", () => {
    const params = new Filters("range=1h&type=a").toParams(Date.parse("2026-01-01T12:00:00Z"));
    expect(params.get("since")).toBe("2026-01-01T11:00:00.000Z");
    expect(params.get("type")).toBe("a");
    expect(params.has("range")).toBe(false);
  });

  it("know a time that is over", () => {
    expect(new Filters("until=2020-01-01T00:00:00Z").isOver).toBe(true);
    expect(new Filters("until=2999-01-01T00:00:00Z").isOver).toBe(false);
  });
});
