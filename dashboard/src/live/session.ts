/**
 * The page's one live stream: each view says what it wants to hear of, the frame shows how it stands.
 *
 * One stream, because a browser opens six connections to a server at most. That the server answers
 * and reaches its store is asked beside it: a stream is kept open while either is away, and says
 * nothing.
 */
import { createContext, useContext, useEffect, useRef, useSyncExternalStore } from "react";
import { health, type Standing } from "../server/health";
import type { EventItem } from "../server/shapes";
import type { Connection } from "./connection";
import { type Gap, LiveStream } from "./stream";

const HEALTH_EVERY = 10_000;

export class LiveSession {
  private stream: LiveStream | null = null;
  private connection: Connection = { is: "stopped" };
  private standing: Standing = "well";
  private looking = false;
  private listeners = new Set<() => void>();
  private shown: Connection = this.connection;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  readonly snapshot = (): Connection => this.shown;

  /** Follow what a view wants, in place of what another wanted; returns what ends it. */
  follow(
    filters: URLSearchParams,
    after: number | null,
    took: (events: EventItem[]) => void,
    missed: (gap: Gap) => void,
    resumed: () => void = () => undefined,
  ): () => void {
    this.stream?.stop();
    const changed = (connection: Connection) => {
      if (this.stream !== stream) return;
      if (connection.is === "catching-up") resumed();
      this.connection = connection;
      this.tell();
    };
    const stream = new LiveStream({ filters, after }, { took, changed, missed });
    this.stream = stream;
    stream.start();
    const timer = setInterval(() => void this.look(), HEALTH_EVERY);
    return () => {
      clearInterval(timer);
      stream.stop();
      if (this.stream === stream) this.stream = null;
    };
  }

  /** Try again now. */
  hurry(): void {
    this.stream?.hurry();
  }

  private async look(): Promise<void> {
    if (!this.isOpen() || this.looking || document.visibilityState === "hidden") return;
    this.looking = true;
    this.standing = await health();
    this.looking = false;
    this.tell();
  }

  private isOpen(): boolean {
    return this.connection.is === "connected" || this.connection.is === "catching-up";
  }

  private tell(): void {
    if (!this.isOpen()) this.standing = "well"; // It is not known; the connection says enough.
    this.shown = this.standing === "well" ? this.connection : ILL[this.standing];
    for (const listener of this.listeners) listener();
  }
}

const ILL: Record<Exclude<Standing, "well">, Connection> = {
  silent: { is: "silent", why: "The stream is open, but the server answers nothing else." },
  "store-away": {
    is: "store-away",
    why: "The server answers, and does not reach its store. It goes on by itself; nothing is lost.",
  },
};

export const LiveContext = createContext(new LiveSession());

export function useConnection(): Connection {
  const session = useContext(LiveContext);
  return useSyncExternalStore(session.subscribe, session.snapshot);
}

interface Following {
  /** Filters as text, as in the URL; another text begins another stream. */
  filters: string;
  /** Past which position; none for new events only, undefined while that is not known yet. */
  after: number | null | undefined;
  took: (events: EventItem[]) => void;
  missed?: (gap: Gap) => void;
  /** The stream stands, for the first time or again. */
  resumed?: () => void;
}

/** Hear of new events while a view is shown. */
export function useLive({ filters, after, took, missed, resumed }: Following): void {
  const session = useContext(LiveContext);
  const latest = useRef({ took, missed, resumed });
  latest.current = { took, missed, resumed };
  useEffect(() => {
    if (after === undefined) return;
    return session.follow(
      new URLSearchParams(filters),
      after,
      (events) => latest.current.took(events),
      (gap) => latest.current.missed?.(gap),
      () => latest.current.resumed?.(),
    );
  }, [session, filters, after]);
}
