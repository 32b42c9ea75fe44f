/** What a view says instead of its content: that it loads, that there is nothing, what went wrong. */
import type { ReactNode } from "react";
import { Away, Refused } from "../server/ask";
import { Copy } from "./copy";
import "./notice.css";

export function Loading({ what }: { what: string }) {
  return (
    <p className="notice loading" role="status">
      Loading {what} …
    </p>
  );
}

export function Failed({ error, again }: { error: unknown; again?: () => void }) {
  const title = error instanceof Away ? "The server is away" : "That did not work";
  const more = error instanceof Refused && error.problem.request_id;
  return (
    <div className="notice failed" role="alert">
      <h2>{title}</h2>
      <p>{error instanceof Error ? error.message : String(error)}</p>
      {more && <p className="quiet">In the server's log: {error.problem.request_id}</p>}
      {again && (
        <button type="button" onClick={again}>
          Try again
        </button>
      )}
    </div>
  );
}

/** There is nothing, and the one line that changes it. */
export function Empty({
  title,
  line,
  children,
}: {
  title: string;
  line?: string;
  children?: ReactNode;
}) {
  return (
    <div className="notice">
      <h2>{title}</h2>
      {children}
      {line && (
        <div className="line">
          <code>{line}</code>
          <Copy text={() => line}>Copy</Copy>
        </div>
      )}
    </div>
  );
}
