/** What the list does just now: live or paused, how many are there, whether it samples, what is gone. */
import type { Filters } from "../filters/filters";
import { useConnection } from "../live/session";
import type { Gap } from "../live/stream";
import type { Reading } from "./reading";
import "./live_state.css";

interface Props {
  reading: Reading;
  filters: Filters;
  resume: () => void;
}

const count = (n: number) => n.toLocaleString("en");

export function LiveState({ reading, filters, resume }: Props) {
  const { shown, total, gap } = reading;
  const { is } = useConnection();
  const isOpen = is === "connected" || is === "catching-up";
  return (
    <div className="live-state">
      {filters.isOver ? (
        <span className="quiet">A time that is over; nothing new can come</span>
      ) : shown.paused ? (
        <button type="button" className="strong small" onClick={resume}>
          Paused · {reading.torn ? `more than ${count(shown.fresh)}` : count(shown.fresh)} new —
          resume
        </button>
      ) : (
        <button type="button" className="small" onClick={reading.pause}>
          {isOpen ? "Live" : "Live again when connected"} — pause
        </button>
      )}
      <span className="quiet">{total === null ? "" : `${count(total)} events`}</span>
      {shown.rate > 0 && !shown.paused && (
        <span className="warn">
          Too fast to read, {count(shown.rate)} a second: what you see is sampled; pause to see all
        </span>
      )}
      {gap && (
        <span className="warn" role="status">
          {lost(gap)}
        </span>
      )}
      <span className="unseen" role="status">
        {shown.paused ? "Paused" : shown.rate > 0 ? "Too fast to read" : ""}
      </span>
    </div>
  );
}

function lost({ reason, first }: Gap): string {
  if (reason === "ahead") return "The server shows another store than before; all is read anew";
  return `Older events were pruned; the first there is has position ${count(first)}`;
}
