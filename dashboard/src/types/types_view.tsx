/** The types: what is known of each, how many there are, when the newest happened. */

import { useState } from "react";
import { useAnswer, useFreshness } from "../live/fresh";
import { count } from "../parts/amounts";
import { JsonTree } from "../parts/json_tree";
import { Moment } from "../parts/moment";
import { Empty, Failed, Loading } from "../parts/notice";
import { type Column, Table } from "../parts/table";
import { to } from "../place/place";
import { ask } from "../server/ask";
import type { Json, TypeItem } from "../server/shapes";

export function TypesView() {
  const types = useAnswer(["types", "all"], readAll);
  const [open, setOpen] = useState<string | null>(null);
  useFreshness([["types"]]);
  if (!types.data) {
    if (types.error) return <Failed error={types.error} again={() => void types.refetch()} />;
    return <Loading what="types" />;
  }
  if (types.data.length === 0) return <Empty title="No types yet" line="tidings emit hello" />;
  return (
    <div className="view">
      <h1>Types</h1>
      <Table
        label="Types"
        columns={columns(open, setOpen)}
        rows={types.data}
        id={(row) => row.type}
      />
    </div>
  );
}

async function readAll(signal: AbortSignal): Promise<TypeItem[]> {
  const found: TypeItem[] = [];
  let next: string | null = "events/types";
  while (next !== null) {
    const url: URL = new URL(next, "http://page/");
    const answer: { types: TypeItem[]; next: string | null } = await ask("events/types", {
      params: url.searchParams,
      signal,
    });
    found.push(...answer.types);
    next = answer.next;
  }
  return found;
}

function columns(open: string | null, setOpen: (type: string | null) => void): Column<TypeItem>[] {
  return [
    {
      name: "Type",
      cell: (row) => (
        <a href={to("events", null, new URLSearchParams({ type: row.type }))}>{row.type}</a>
      ),
    },
    { name: "Events", cell: (row) => (row.count === null ? "–" : count(row.count)), number: true },
    { name: "Last seen", cell: (row) => <Moment at={row.last_seen} /> },
    {
      name: "Says",
      cell: (row) => row.description || <span className="quiet">not in the catalog</span>,
      minor: true,
    },
    {
      name: "Payload keys",
      cell: (row) => <code>{row.payload_keys.join(", ")}</code>,
      minor: true,
    },
    {
      name: "Schema",
      cell: (row) =>
        row.has_schema && (
          <>
            <button
              type="button"
              className="small"
              aria-expanded={open === row.type}
              onClick={() => setOpen(open === row.type ? null : row.type)}
            >
              {open === row.type ? "Hide" : "Show"}
            </button>
            {open === row.type && <Schema type={row.type} />}
          </>
        ),
      minor: true,
    },
  ];
}

function Schema({ type }: { type: string }) {
  const info = useAnswer(["type", type], (signal) =>
    ask<{ schema: Json }>(`events/types/${encodeURIComponent(type)}`, { signal }),
  );
  if (info.error) return <Failed error={info.error} again={() => void info.refetch()} />;
  return info.data ? <JsonTree value={info.data.schema} /> : <Loading what="the schema" />;
}
