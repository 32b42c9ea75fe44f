/** The volume as numbers to draw, and as words. */
import type { AlignedData } from "uplot";
import { local } from "../parts/moment";
import type { Histogram } from "../server/shapes";

/** Each series with those in front of it, so that drawing one over the other stacks them. */
export function stacked(data: Histogram): AlignedData {
  const times = data.bins.map((bin) => Date.parse(bin.start) / 1000);
  const failures = data.bins.map((bin) => bin.counts["failure"] ?? 0);
  const both = data.bins.map((bin, i) => (failures[i] ?? 0) + (bin.counts["success"] ?? 0));
  return [times, data.bins.map((bin) => bin.total), both, failures];
}

/** The chart in words; it is all that a screen reader has of it. */
export function inWords(data: Histogram): string {
  const sum = (outcome: string) =>
    data.bins.reduce((all, bin) => all + (bin.counts[outcome] ?? 0), 0);
  const total = data.bins.reduce((all, bin) => all + bin.total, 0);
  const [good, bad] = [sum("success"), sum("failure")];
  const count = (n: number) => n.toLocaleString("en");
  const span = `${local(Date.parse(data.since)).slice(0, 16)} – ${local(Date.parse(data.until)).slice(0, 16)}`;
  return `${count(total)} events: ${count(bad)} failure, ${count(good)} success, ${count(total - good - bad)} without outcome · ${span}`;
}
