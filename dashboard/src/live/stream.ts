/**
 * The live stream: every event past a position, in order, for as long as the page wants it.
 *
 * Over fetch, because an EventSource can send no headers, gives up for good when a proxy answers
 * 502, and says nothing of why. It remembers the last position and nothing else: after a break it
 * asks for what came since, so nothing is missed or repeated. Where that is more than anybody can
 * look at, it goes on from the newest and says so. A watchdog ends a connection that has fallen
 * silent (the server sends a heartbeat every 15 seconds), and a page out of sight lets go of its
 * own, as a browser opens six to a server at most, for all its tabs.
 */
import { createParser } from "eventsource-parser";
import { ensure, Refused, send } from "../server/ask";
import { serverNow } from "../server/clock";
import { readJson } from "../server/json";
import { newest } from "../server/newest";
import type { EventItem } from "../server/shapes";
import type { Connection } from "./connection";

const SILENCE = 40_000;
const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 15_000;
/** An event that the store took so long ago was missed, and is being caught up with. */
const OLD = 3_000;
/** What follows no event for so long has caught up. */
const REST = 300;
/** Catching up for so long, it looks how far there is to go. */
const LOOK_AFTER = 3_000;
/** Who was away for so long looks first how much there is to catch up with. */
const LONG_AWAY = 60_000;
/** So many positions behind, what came since is not read one by one. */
const FAR = 100_000;
/** So long after it went out of sight the page lets go of its connection. */
const UNSEEN = 15_000;

export interface Wanted {
  /** Filters, as the server's parameters. */
  filters: URLSearchParams;
  /** Past which position; none for new events only. */
  after: number | null;
}

export interface Gap {
  /** `pruned`: they are gone; `ahead`: it is another store now; `far`: too many to be streamed. */
  reason: string;
  /** The first position that comes. */
  first: number;
}

export interface Listener {
  took(events: EventItem[]): void;
  changed(connection: Connection): void;
  /** Events that were asked for do not come. */
  missed(gap: Gap): void;
}

type Timer = ReturnType<typeof setTimeout> | undefined;

const inSight = () => document.visibilityState !== "hidden";

export class LiveStream {
  private position: number | null;
  private attempt = 0;
  /** How long the server asks to be left alone after a break (milliseconds). */
  private hint = 0;
  /** Ends the connection there is; another one stands for another connection. */
  private aborter = new AbortController();
  private timer: Timer;
  private watchdog: Timer;
  private rest: Timer;
  private unseen: Timer;
  private ended = false;
  private heardAt = Date.now();
  private lookAt = 0;
  private state: Connection = { is: "connecting" };

  constructor(
    private readonly wanted: Wanted,
    private readonly listener: Listener,
  ) {
    this.position = wanted.after;
  }

  start(): void {
    window.addEventListener("online", this.hurry);
    document.addEventListener("visibilitychange", this.looked);
    if (inSight()) void this.connect();
    else this.become({ is: "resting" });
  }

  stop(): void {
    this.ended = true;
    window.removeEventListener("online", this.hurry);
    document.removeEventListener("visibilitychange", this.looked);
    clearTimeout(this.unseen);
    this.clear();
    this.aborter.abort();
    this.become({ is: "stopped" });
  }

  /** Try again now; also what a person's click does. */
  readonly hurry = (): void => {
    const waits = ["retrying", "refused", "resting"].includes(this.state.is);
    if (waits && !this.ended && inSight()) void this.connect();
  };

  /** The page came into sight, or went out of it. */
  private readonly looked = (): void => {
    clearTimeout(this.unseen);
    if (inSight()) this.hurry();
    else this.unseen = setTimeout(this.letGo, UNSEEN);
  };

  private readonly letGo = (): void => {
    this.clear();
    this.aborter.abort();
    this.become({ is: "resting" });
  };

  private async connect(): Promise<void> {
    this.clear();
    this.aborter.abort();
    const aborter = new AbortController();
    this.aborter = aborter;
    if (this.state.is !== "retrying") this.become({ is: "connecting" });
    try {
      this.watch();
      if (this.wasLongAway()) this.leapt(await newest(aborter.signal));
      const body = await this.open(aborter.signal);
      this.lookAt = Date.now() + LOOK_AFTER;
      this.settle();
      await this.read(body, aborter);
      this.lost("the server ended the stream", aborter);
    } catch (error) {
      this.lost(error, aborter);
    }
  }

  /** Leave out what is too much to be streamed; it can be read from the newest back. */
  private leapt(last: number): boolean {
    if (this.position === null || last - this.position <= FAR) return false;
    this.position = last;
    this.listener.missed({ reason: "far", first: last + 1 });
    return true;
  }

  private async open(signal: AbortSignal): Promise<ReadableStream<BufferSource>> {
    const params = new URLSearchParams(this.wanted.filters);
    params.set("event", "none");
    const headers: Record<string, string> = { accept: "text/event-stream" };
    if (this.position !== null) headers["last-event-id"] = String(this.position);
    const answer = await send("events/stream", { params, headers, signal });
    ensure(answer, "text/event-stream");
    if (answer.body === null) throw new Error("the answer had no body");
    return answer.body;
  }

  private async read(body: ReadableStream<BufferSource>, aborter: AbortController): Promise<void> {
    let batch: EventItem[] = [];
    const parser = createParser({
      // Also of a position without an event, which moves on, too.
      onId: (id) => {
        this.position = Number(id);
      },
      onEvent: (message) => {
        if (message.event === "gap") this.listener.missed(JSON.parse(message.data) as Gap);
        else batch.push(readJson(message.data) as EventItem);
      },
      onRetry: (milliseconds) => {
        this.hint = milliseconds;
      },
    });
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (aborter.signal.aborted || done) return;
      this.watch();
      this.attempt = 0;
      this.heardAt = Date.now();
      try {
        parser.feed(value);
      } finally {
        // What came before something that cannot be read has come, and is not asked for again.
        if (batch.length > 0) {
          this.listener.took(batch);
          this.measure(batch, aborter.signal);
        }
        batch = [];
      }
    }
  }

  private wasLongAway(): boolean {
    return this.position !== null && Date.now() - this.heardAt > LONG_AWAY;
  }

  private measure(batch: EventItem[], signal: AbortSignal): void {
    const recorded = batch[batch.length - 1]?.recorded_at;
    const age = recorded ? serverNow() - Date.parse(recorded) : 0;
    if (signal.aborted || age <= OLD) return;
    this.settle();
    if (Date.now() > this.lookAt) void this.look(signal);
  }

  /** It does not get nearer soon: see whether it ever will. */
  private async look(signal: AbortSignal): Promise<void> {
    this.lookAt = Number.POSITIVE_INFINITY;
    try {
      const last = await newest(signal);
      if (!signal.aborted && this.leapt(last)) void this.connect();
    } catch {
      // It only wanted to know; what is wrong the stream tells.
    }
    this.lookAt = Date.now() + LOOK_AFTER;
  }

  /** It is catching up, until nothing comes for a moment. */
  private settle(): void {
    this.become({ is: "catching-up" });
    clearTimeout(this.rest);
    this.rest = setTimeout(() => this.become({ is: "connected" }), REST);
  }

  private watch(): void {
    clearTimeout(this.watchdog);
    const { aborter } = this;
    this.watchdog = setTimeout(() => this.lost("nothing came for 40 seconds", aborter), SILENCE);
  }

  private lost(why: unknown, aborter: AbortController): void {
    if (this.ended || aborter.signal.aborted) return;
    this.clear();
    aborter.abort();
    if (why instanceof Refused && why.status < 500 && why.status !== 429 && why.status !== 408) {
      this.become({ is: "refused", status: why.status, what: why.message });
      return;
    }
    this.attempt += 1;
    const asked = why instanceof Refused ? (why.retryAfter ?? 0) * 1000 : this.hint;
    const grown = Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (this.attempt - 1));
    // Pages that lost the same server do not all come back at once.
    const pause = Math.max(asked, grown / 2) + (Math.random() * grown) / 2;
    this.hint = 0;
    const text = why instanceof Error ? why.message : String(why);
    this.become({ is: "retrying", at: serverNow() + pause, why: text, attempt: this.attempt });
    this.timer = setTimeout(() => void this.connect(), pause);
  }

  private clear(): void {
    clearTimeout(this.timer);
    clearTimeout(this.watchdog);
    clearTimeout(this.rest);
  }

  private become(state: Connection): void {
    if (state.is === this.state.is && state.is !== "retrying") return;
    this.state = state;
    this.listener.changed(state);
  }
}
