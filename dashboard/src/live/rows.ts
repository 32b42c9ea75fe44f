/**
 * What came live, as small rows: the newest of them, at most `MOST`, oldest first.
 *
 * Outside of React, which is told of changes once a frame at most. Pausing freezes what is shown,
 * whatever comes, and goes on taking in. No row is left out for the haste of it; what falls out at
 * the old end is read from the server again, from `floor` back.
 */
import type { EventItem } from "../server/shapes";
import { type Row, rowOf } from "./row";

export const MOST = 100_000;
/** More than so many a second pass by unseen, however fast one looks. */
export const READABLE = 1_000;

/** A page in the background has no frames; it takes in at the latest when so many wait. */
const MOST_WAITING = 5_000;
/** Over so long it is measured how fast they come (milliseconds). */
const SPAN = 1_000;

export interface Shown {
  /** Grows with every change. */
  change: number;
  rows: readonly Row[];
  /** Of `rows`, so many are shown: those from the beginning of the array on. */
  length: number;
  paused: boolean;
  /** How many have come since it was paused. */
  fresh: number;
  /** How many have come in all. */
  taken: number;
  /** How many come in a second, where that is more than can be read; else 0. */
  rate: number;
  /** What came ahead of this position is not here any more; null while all of it is. */
  floor: number | null;
}

export class Rows {
  private rows: Row[] = [];
  private waiting: Row[] = [];
  private last = 0;
  private taken = 0;
  private floor: number | null = null;
  /** As it was when it was paused. */
  private frozen: Pick<Shown, "rows" | "length" | "taken" | "floor"> | null = null;
  private frame = 0;
  private rate = 0;
  private measured = { since: performance.now(), taken: 0 };
  private calm: ReturnType<typeof setTimeout> | undefined;
  private listeners = new Set<() => void>();
  private shown: Shown = this.look(0);

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  readonly snapshot = (): Shown => this.shown;

  take(events: EventItem[]): void {
    for (const event of events) {
      if (event.position <= this.last) continue;
      this.last = event.position;
      this.waiting.push(rowOf(event));
    }
    if (this.waiting.length > MOST_WAITING) this.flush();
    else if (this.frame === 0) this.frame = requestAnimationFrame(() => this.flush());
  }

  /** Leave out from the old end what happened before this instant; not while it is paused. */
  expire(before: number): void {
    if (this.frozen !== null) return;
    const kept = this.rows.findIndex((row) => row.at >= before);
    if (kept === 0 || this.rows.length === 0) return;
    this.rows = kept < 0 ? [] : this.rows.slice(kept);
    this.tell();
  }

  pause(): void {
    if (this.frozen !== null) return;
    const { rows, taken, floor } = this;
    this.frozen = { rows, length: rows.length, taken, floor };
    this.tell();
  }

  resume(): void {
    this.frozen = null;
    this.tell();
  }

  private flush(): void {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    const fresh = this.waiting;
    this.waiting = [];
    for (const row of fresh) this.rows.push(row);
    this.taken += fresh.length;
    if (this.rows.length > MOST * 1.1) {
      // In one step and seldom: to take one away at the old end costs as much as to take many.
      // Another array, so that what is frozen stays whole.
      this.rows = this.rows.slice(-MOST);
      this.floor = this.rows[0]?.position ?? null;
    }
    this.measure();
    this.tell();
  }

  private measure(): void {
    const { since, taken } = this.measured;
    const now = performance.now();
    if (now - since >= SPAN) {
      const rate = ((this.taken - taken) / (now - since)) * 1000;
      this.rate = rate > READABLE ? Math.round(rate) : 0;
      this.measured = { since: now, taken: this.taken };
    }
    clearTimeout(this.calm);
    this.calm = setTimeout(() => this.rest(), 2 * SPAN);
  }

  /** Nothing came for a while. */
  private rest(): void {
    this.measured = { since: performance.now(), taken: this.taken };
    if (this.rate === 0) return;
    this.rate = 0;
    this.tell();
  }

  private tell(): void {
    this.shown = this.look(this.shown.change + 1);
    for (const listener of this.listeners) listener();
  }

  private look(change: number): Shown {
    const { rows, taken, floor, rate } = this;
    const now = this.frozen ?? { rows, length: rows.length, taken, floor };
    return { ...now, change, taken, rate, paused: this.frozen !== null, fresh: taken - now.taken };
  }
}
