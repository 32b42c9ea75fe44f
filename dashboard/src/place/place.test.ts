// @vitest-environment jsdom
import { describe, expect, it } from "vitest";
import { read, to } from "./place";

describe("a place", () => {
  it.each(["a/b", "50%", "ü ? & #", "slurm:alps:4711", "%2F"])("keeps the id %s", (id) => {
    expect(read(to("events", id)).id).toBe(id);
  });

  it("keeps a search that holds its own separators", () => {
    const params = new URLSearchParams({ contains: "100% & a=b ? #x" });
    const place = read(to("events", "x/y", params));
    expect(new URLSearchParams(place.search).get("contains")).toBe("100% & a=b ? #x");
    expect(place.id).toBe("x/y");
  });

  it("takes what a person typed as it is", () => {
    expect(read("#/jobs/100%")).toEqual({ view: "jobs", id: "100%", search: "" });
    expect(read("")).toEqual({ view: "", id: null, search: "" });
  });
});
