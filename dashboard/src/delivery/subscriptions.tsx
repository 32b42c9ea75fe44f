/** The handlers' subscriptions: who runs them, how far behind they are. */

import { count } from "../parts/amounts";
import { Empty } from "../parts/notice";
import { type Column, Table } from "../parts/table";
import { Problem, useAction } from "./acting";
import type { Subscription } from "./shapes";

export function Subscriptions({ all }: { all: Subscription[] }) {
  const action = useAction();
  if (all.length === 0) {
    return <Empty title="No subscriptions" line="tidings worker module:bus" />;
  }
  const act = (name: string, what: string) =>
    action.mutate({ path: `subscriptions/${encodeURIComponent(name)}/${what}` });
  return (
    <>
      <Problem error={action.error} />
      <Table
        label="Subscriptions"
        columns={columns(act)}
        rows={all}
        id={(row) => row.name}
        loud={(row) => row.dead_letters > 0}
      />
    </>
  );
}

function columns(act: (name: string, what: string) => void): Column<Subscription>[] {
  return [
    { name: "Subscription", cell: (row) => row.name },
    { name: "State", cell: (row) => (row.paused ? "paused" : running(row)) },
    { name: "Behind", cell: (row) => count(row.lag), number: true },
    { name: "Waiting", cell: (row) => count(row.waiting), number: true, minor: true },
    { name: "Held", cell: (row) => count(row.held), number: true, minor: true },
    { name: "Handled", cell: (row) => count(row.handled), number: true, minor: true },
    { name: "Failed", cell: (row) => count(row.failed), number: true, minor: true },
    { name: "Dead letters", cell: (row) => count(row.dead_letters), number: true },
    { name: "Wants", cell: (row) => <code>{row.filter}</code>, minor: true },
    {
      name: "Do",
      cell: (row) => (
        <button
          type="button"
          className="small"
          onClick={() => act(row.name, row.paused ? "resume" : "pause")}
        >
          {row.paused ? "Resume" : "Pause"}
        </button>
      ),
    },
  ];
}

function running({ partitions }: Subscription): string {
  const run = partitions.filter((each) => each.owner !== null).length;
  return run === 0 ? "nobody runs it" : `${run} of ${partitions.length} run`;
}
