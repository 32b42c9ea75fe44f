/** How the live stream stands, always in sight; told to screen readers when it changes, not each second. */
import { useContext } from "react";
import { said } from "../live/connection";
import { LiveContext, useConnection } from "../live/session";
import { useClock } from "../parts/clock";

const MARKS: Record<string, string> = {
  connected: "●",
  "catching-up": "◐",
  connecting: "○",
  stopped: "○",
};

export function ConnectionState() {
  const session = useContext(LiveContext);
  const connection = useConnection();
  const now = useClock(connection.is === "retrying" ? 1000 : 0);
  const words = said(connection, now);
  const waits = connection.is === "retrying" || connection.is === "refused";
  const why = "why" in connection ? connection.why : "what" in connection ? connection.what : words;
  return (
    <div className={`connection ${connection.is}`} title={why}>
      <span aria-hidden="true">{MARKS[connection.is] ?? "▲"}</span>{" "}
      <span aria-hidden="true">{words}</span>
      <span className="unseen" role="status">
        {said(connection, Number.POSITIVE_INFINITY)}
      </span>
      {waits && (
        <button type="button" className="small" onClick={() => session.hurry()}>
          Retry now
        </button>
      )}
    </div>
  );
}
