/** From instants to places in a drawing, and back. */

export interface Window {
  from: number;
  to: number;
}

export function place(at: number, { from, to }: Window): number {
  return (at - from) / Math.max(1, to - from);
}

const STEPS = [
  1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 1.5e4, 3e4, 6e4, 12e4, 3e5, 6e5, 9e5,
  18e5, 36e5, 72e5, 144e5, 216e5, 432e5, 864e5,
];

/** Some round times since the beginning of everything, at most `most` of them. */
export function ticks({ from, to }: Window, origin: number, most: number): number[] {
  const step =
    STEPS.find((each) => (to - from) / each <= most) ??
    864e5 * Math.ceil((to - from) / 864e5 / most);
  const found = [];
  for (let at = origin + Math.ceil((from - origin) / step) * step; at <= to; at += step)
    found.push(at);
  return found;
}

/** Nearer to or farther from one instant, within the whole. */
export function zoomed(window: Window, whole: Window, at: number, factor: number): Window {
  const width = Math.min(whole.to - whole.from, Math.max(1, (window.to - window.from) * factor));
  const share = place(at, window);
  const from = Math.min(Math.max(whole.from, at - share * width), whole.to - width);
  return { from, to: from + width };
}

export function moved(window: Window, whole: Window, share: number): Window {
  const width = window.to - window.from;
  const from = Math.min(Math.max(whole.from, window.from + share * width), whole.to - width);
  return { from, to: from + width };
}

const UNITS: [unit: string, milliseconds: number][] = [
  ["d", 864e5],
  ["h", 36e5],
  ["m", 6e4],
  ["s", 1e3],
  ["ms", 1],
];

/** How long after the beginning a mark stands, no finer than marks are apart: `+1 m 30 s`. */
export function sinceStart(milliseconds: number, step: number): string {
  const finest = UNITS.find(([, size]) => step >= size) ?? ["ms", 1];
  if (milliseconds === 0) return `+0 ${finest[0]}`;
  if (milliseconds < 1000 && step < 1000) return `+${Math.round(milliseconds)} ms`;
  if (step < 1000 && milliseconds < 60_000) return `+${Number((milliseconds / 1000).toFixed(3))} s`;
  const parts = [];
  let left = Math.round(milliseconds);
  for (const [unit, size] of UNITS) {
    const count = Math.floor(left / size);
    left -= count * size;
    if (count > 0) parts.push(`${count} ${unit}`);
  }
  return `+${parts.slice(0, 3).join(" ")}`;
}
