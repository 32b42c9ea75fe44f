/** The webhooks, each with its newest attempts. */

import { useState } from "react";
import { useAnswer } from "../live/fresh";
import { count } from "../parts/amounts";
import { lasting, Moment } from "../parts/moment";
import { Empty, Failed, Loading } from "../parts/notice";
import { Outcome } from "../parts/outcome";
import { type Column, Table } from "../parts/table";
import { to } from "../place/place";
import { ask } from "../server/ask";
import { Problem, useAction } from "./acting";
import type { Attempt, Webhook } from "./shapes";

/** Attempts are no events, so they are asked for (milliseconds). */
const EVERY = 2000;

export function Webhooks({ all }: { all: Webhook[] }) {
  const action = useAction();
  const [open, setOpen] = useState<string | null>(null);
  if (all.length === 0) {
    return (
      <Empty
        title="No webhooks"
        line="tidings webhooks add https://example.org/hook --type 'job.*'"
      />
    );
  }
  const act = (id: string, what: string) =>
    action.mutate({ path: `webhooks/${encodeURIComponent(id)}/${what}` });
  return (
    <>
      <Problem error={action.error} />
      <Table
        label="Webhooks"
        columns={columns(act, open, setOpen)}
        rows={all}
        id={(row) => row.id}
        loud={(row) => row.state === "disabled" || row.failing_since !== null}
      />
      {open !== null && <Attempts id={open} />}
    </>
  );
}

function columns(
  act: (id: string, what: string) => void,
  open: string | null,
  setOpen: (id: string | null) => void,
): Column<Webhook>[] {
  return [
    { name: "Webhook", cell: (row) => <span title={row.id}>{row.description || row.url}</span> },
    { name: "State", cell: (row) => <WebhookState row={row} /> },
    { name: "Behind", cell: (row) => count(row.lag), number: true },
    { name: "Waiting", cell: (row) => count(row.waiting), number: true, minor: true },
    { name: "Fails since", cell: (row) => <Moment at={row.failing_since} />, minor: true },
    { name: "Next attempt", cell: (row) => <Moment at={row.next_attempt_at} />, minor: true },
    { name: "Dead letters", cell: (row) => count(row.dead_letters), number: true },
    {
      name: "Do",
      cell: (row) => (
        <span className="segments">
          <button
            type="button"
            className="small"
            aria-expanded={open === row.id}
            onClick={() => setOpen(open === row.id ? null : row.id)}
          >
            Attempts
          </button>
          <button
            type="button"
            className="small"
            onClick={() => act(row.id, row.state === "active" ? "pause" : "resume")}
          >
            {row.state === "active" ? "Pause" : "Resume"}
          </button>
        </span>
      ),
    },
  ];
}

function WebhookState({ row }: { row: Webhook }) {
  if (row.disabled) return <Outcome status="failure" says={`disabled: ${row.disabled}`} />;
  if (row.failing_since !== null) return <Outcome status="failure" says="failing" />;
  return row.state;
}

function Attempts({ id }: { id: string }) {
  const attempts = useAnswer(
    ["delivery", "attempts", id],
    (signal) =>
      ask<{ attempts: Attempt[] }>(`webhooks/${encodeURIComponent(id)}/attempts`, { signal }),
    () => EVERY,
  );
  if (!attempts.data)
    return attempts.error ? <Failed error={attempts.error} /> : <Loading what="attempts" />;
  if (attempts.data.attempts.length === 0)
    return <p className="quiet note">Nothing was sent yet.</p>;
  return (
    <Table
      label="Attempts, newest first"
      columns={ATTEMPTS}
      rows={attempts.data.attempts}
      id={(row) => `${row.at} ${row.event_id}`}
    />
  );
}

const ATTEMPTS: Column<Attempt>[] = [
  { name: "Attempt", cell: (row) => <Moment at={row.at} /> },
  { name: "Outcome", cell: (row) => <Outcome status={row.ok ? "success" : "failure"} /> },
  { name: "Status", cell: (row) => row.status ?? "–", number: true },
  { name: "Took", cell: (row) => lasting(row.seconds), number: true },
  { name: "Why", cell: (row) => row.trigger, minor: true },
  {
    name: "Event",
    cell: (row) => <a href={to("events", row.event_id)}>{row.type}</a>,
  },
  {
    name: "Answer",
    cell: (row) => (
      <code className="clipped">{[row.error, row.answer].filter(Boolean).join(": ")}</code>
    ),
    minor: true,
  },
];
