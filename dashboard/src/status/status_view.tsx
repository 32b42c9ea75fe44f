/** The server: whether it is well, what its store holds, what goes through it. */
import { useQuery } from "@tanstack/react-query";
import { useRef } from "react";
import { said } from "../live/connection";
import { useAnswer, useFreshness } from "../live/fresh";
import { useConnection } from "../live/session";
import { bytes, count } from "../parts/amounts";
import { useClock } from "../parts/clock";
import { Failed } from "../parts/notice";
import { Outcome } from "../parts/outcome";
import { ask, send } from "../server/ask";
import type { Health } from "../server/shapes";
import { rate, read, type Sample } from "./metrics";
import "./status_view.css";

const EVERY = 2000;

interface About {
  name: string;
  version: string;
}

export function StatusView() {
  const about = useAnswer(["about"], (signal) => ask<About>("", { signal }));
  const health = useQuery({
    queryKey: ["health"],
    queryFn: () => ask<Health>("health/"),
    refetchInterval: EVERY,
    retry: false,
  });
  const { now, before, error } = useSamples();
  const connection = useConnection();
  const tick = useClock(1000);
  useFreshness([]);
  const figure = (name: string, write = count) => {
    const value = now?.figures.get(name);
    return value === undefined ? "–" : write(value);
  };
  const perSecond = (name: string) => (now ? rate(name, now, before) : null);
  return (
    <div className="view">
      <h1>Status</h1>
      {health.error && <Failed error={health.error} />}
      <dl className="cards">
        <Card name="Store" value={<StoreState health={health} />} />
        <Card name="This page" value={said(connection, tick)} />
        <Card name="Version" value={about.data?.version} more={about.data?.name} />
        <Card name="Newest position" value={figure("tidings_store_head")} />
        <Card name="Size of the store" value={figure("tidings_store_bytes", bytes)} />
        <Card
          name="Waiting in the spool"
          value={figure("tidings_spool_events")}
          more="on the server"
        />
        <Card
          name="Events kept"
          value={speed(perSecond("tidings_events_appended_total"))}
          more={`${figure("tidings_events_appended_total")} by this server`}
        />
        <Card
          name="Events delivered live"
          value={speed(perSecond("tidings_events_delivered_total"))}
          more={`${figure("tidings_events_delivered_total")} by this server`}
        />
        <Card
          name="Live streams"
          value={figure("tidings_streams_open")}
          more={`${figure("tidings_slow_clients_total")} slow clients let go`}
        />
      </dl>
      {error !== null && <p className="quiet">Its figures cannot be read: {error.message}</p>}
    </div>
  );
}

function StoreState({ health }: { health: { data: Health | undefined; error: unknown } }) {
  if (health.error) return <Outcome status="failure" says="away" />;
  if (!health.data) return "–";
  return health.data.database_connected ? (
    <Outcome status="success" says={health.data.status} />
  ) : (
    <Outcome status="failure" says="away" />
  );
}

function Card({
  name,
  value,
  more,
}: {
  name: string;
  value: React.ReactNode;
  more?: string | undefined;
}) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        <strong>{value ?? "–"}</strong>
        {more && <span className="quiet">{more}</span>}
      </dd>
    </div>
  );
}

/** The two newest looks at the figures. */
function useSamples(): { now: Sample | null; before: Sample | null; error: Error | null } {
  const last = useRef<[Sample | null, Sample | null]>([null, null]);
  const { data, error } = useQuery({
    queryKey: ["metrics"],
    queryFn: async ({ signal }) => {
      const answer = await send("metrics", { signal });
      return { at: Date.now(), figures: read(await answer.text()) };
    },
    refetchInterval: EVERY,
    structuralSharing: false,
  });
  if (data && data !== last.current[0]) last.current = [data, last.current[0]];
  return { now: last.current[0], before: last.current[1], error };
}

function speed(value: number | null): string {
  return value === null
    ? "–"
    : `${value < 10 ? value.toFixed(1) : Math.round(value).toLocaleString("en")}/s`;
}
