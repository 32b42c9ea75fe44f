/** How something went: a mark and a word, so that colour is never the only sign. */
import "./outcome.css";
import type { State } from "../server/shapes";

const MARKS: Record<string, string> = { success: "✓", failure: "✕", "": "·" };

/** `says` stands in place of the outcome's own word. */
export function Outcome({ status, says }: { status: string; says?: string }) {
  const kind = status in MARKS ? status || "none" : "other";
  return (
    <span className={`outcome ${kind}`}>
      <span aria-hidden="true" className="mark">
        {MARKS[status] ?? "◆"}
      </span>
      <span>{says ?? status}</span>
    </span>
  );
}

export type Standing = State | "stuck";

const STANDINGS: Record<Standing, [mark: string, word: string]> = {
  running: ["▶", "running"],
  done: ["✓", "done"],
  failed: ["✕", "failed"],
  stuck: ["‼", "stuck"],
  "": ["·", "unknown"],
};

export function StandingMark({ standing }: { standing: Standing }) {
  const [mark, word] = STANDINGS[standing];
  return (
    <span className={`outcome ${standing || "none"}`}>
      <span aria-hidden="true" className="mark">
        {mark}
      </span>
      {word}
    </span>
  );
}
