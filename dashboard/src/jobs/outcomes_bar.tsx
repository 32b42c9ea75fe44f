/** The outcomes of many runs as one bar, and in words. */
import { count as written } from "../parts/amounts";
import type { Standing } from "../parts/outcome";
import "./outcomes_bar.css";

const ORDER: Standing[] = ["failed", "stuck", "running", "done", ""];
const WORDS: Record<Standing, string> = {
  failed: "failed",
  stuck: "stuck",
  running: "running",
  done: "done",
  "": "unknown",
};

interface Props {
  standings: Standing[];
  /** Whether there are more, which are not counted. */
  more: boolean;
}

export function OutcomesBar({ standings, more }: Props) {
  const counts = ORDER.map(
    (each) => [each, standings.filter((s) => s === each).length] as const,
  ).filter(([, count]) => count > 0);
  return (
    <span className="outcomes-bar">
      <span className="parts" aria-hidden="true">
        {counts.map(([each, count]) => (
          <span key={each} className={each || "none"} style={{ flexGrow: count }} />
        ))}
      </span>
      <span>
        {counts.map(([each, count], index) => (
          <span key={each} className={each === "failed" ? "loud" : undefined}>
            {index > 0 && ", "}
            {written(count)} {WORDS[each]}
          </span>
        ))}
        {more && <span className="quiet"> of the newest {written(standings.length)}</span>}
      </span>
    </span>
  );
}
