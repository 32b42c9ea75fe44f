/** What was given up: to look at, to have handled again, to let go. */

import { useState } from "react";
import { Moment } from "../parts/moment";
import { type Column, Table } from "../parts/table";
import { to } from "../place/place";
import { Problem, useAction } from "./acting";
import type { DeadLetter } from "./shapes";

interface Props {
  all: DeadLetter[];
  /** Whether there are more than are shown. */
  more: boolean;
}

export function DeadLetters({ all, more }: Props) {
  const action = useAction();
  const [sure, setSure] = useState<string | null>(null);
  if (all.length === 0) return <p className="quiet note">Nothing was given up.</p>;
  const act = (letter: DeadLetter, what: "replay" | "discard") => {
    if (what === "discard" && sure !== letter.id) {
      setSure(letter.id);
      return;
    }
    setSure(null);
    action.mutate({
      path: `dead-letters/${encodeURIComponent(letter.subscription)}/${letter.position}/${what}`,
    });
  };
  return (
    <>
      <Problem error={action.error} />
      <div className="top">
        <button
          type="button"
          onClick={() => action.mutate({ path: "dead-letters/replay", body: { all: true } })}
        >
          Replay all
        </button>
        {more && <span className="quiet">Only the first hundred are shown</span>}
      </div>
      <Table
        label="Dead letters"
        columns={columns(act, sure, setSure)}
        rows={all}
        id={(row) => row.id}
      />
    </>
  );
}

function columns(
  act: (letter: DeadLetter, what: "replay" | "discard") => void,
  sure: string | null,
  ask: (sure: string | null) => void,
): Column<DeadLetter>[] {
  return [
    { name: "Subscription", cell: (row) => row.subscription },
    {
      name: "Event",
      cell: (row) => <a href={to("events", row.event_id)}>{row.type}</a>,
    },
    { name: "Given up", cell: (row) => <Moment at={row.given_up_at} /> },
    { name: "Attempts", cell: (row) => row.attempts.length, number: true, minor: true },
    { name: "Error", cell: (row) => <code className="clipped">{row.error}</code>, minor: true },
    {
      name: "Do",
      cell: (row) =>
        row.asked ? (
          <span className="quiet">{row.asked} asked for</span>
        ) : (
          <span className="segments">
            <button type="button" className="small" onClick={() => act(row, "replay")}>
              Replay
            </button>
            <button
              type="button"
              className="small"
              // A double click is no answer to the question.
              onClick={(event) => event.detail < 2 && act(row, "discard")}
              onBlur={() => ask(null)}
            >
              {sure === row.id ? "Really discard?" : "Discard"}
            </button>
          </span>
        ),
    },
  ];
}
