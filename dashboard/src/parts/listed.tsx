/** A list of summaries: its table, or why there is none, and the way to what is older. */
import type { ReactNode } from "react";
import { Failed, Loading } from "./notice";
import type { Standing } from "./outcome";
import { type Column, Table } from "./table";

interface Props<T> {
  /** What it lists, such as `workflows`. */
  name: string;
  query: {
    rows: unknown[];
    error: unknown;
    isPending: boolean;
    isPlaceholderData: boolean;
    hasNextPage: boolean;
    isFetchingNextPage: boolean;
    refetch: () => unknown;
    fetchNextPage: () => unknown;
  };
  /** Those that the filters let through. */
  rows: T[];
  /** Whether the server was asked for some only. */
  chosen?: boolean;
  columns: Column<T>[];
  id: (row: T) => string;
  stands: (row: T) => Standing;
  /** When something counts as stuck, in words. */
  stuck: string;
  /** What stands there where nothing is kept at all. */
  none: ReactNode;
}

export function Listed<T>(props: Props<T>) {
  const { name, query, rows, stands, chosen } = props;
  return (
    <>
      {rows.some((row) => stands(row) === "stuck") && (
        <p className="quiet note">
          <strong>Stuck</strong>: {props.stuck}
        </p>
      )}
      {rows.length > 0 ? (
        <Table
          label={capital(name)}
          columns={props.columns}
          rows={rows}
          id={props.id}
          loud={(row) => stands(row) === "failed"}
        />
      ) : query.error ? (
        <Failed error={query.error} again={() => void query.refetch()} />
      ) : query.isPending || query.isPlaceholderData ? (
        <Loading what={name} />
      ) : chosen ? (
        <p className="quiet note">None in this state{query.hasNextPage ? " so far" : ""}.</p>
      ) : query.rows.length > 0 ? (
        <p className="quiet note">
          None in this state
          {query.hasNextPage ? ` among the newest ${query.rows.length}` : ""}.
        </p>
      ) : (
        props.none
      )}
      {query.hasNextPage && (
        <p className="note">
          <button
            type="button"
            disabled={query.isFetchingNextPage}
            onClick={() => void query.fetchNextPage()}
          >
            {query.isFetchingNextPage ? "Loading …" : `Older ${name}`}
          </button>
        </p>
      )}
    </>
  );
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
