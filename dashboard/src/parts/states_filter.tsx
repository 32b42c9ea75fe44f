/** Which standings a list shows; kept in the URL. What is none of them there counts for nothing. */
import { go, to, usePlace } from "../place/place";
import type { Standing } from "./outcome";

const CHOICES: [value: string, words: string][] = [
  ["", "All"],
  ["running", "Running"],
  ["failed", "Failed"],
  ["stuck", "Stuck"],
  ["done", "Done"],
];

export function useStateFilter(): [string, (next: string) => void] {
  const { view, id, search } = usePlace();
  const params = new URLSearchParams(search);
  const choose = (next: string) => {
    if (next) params.set("state", next);
    else params.delete("state");
    go(to(view, id, params));
  };
  const given = params.get("state") ?? "";
  return [CHOICES.some(([value]) => value === given) ? given : "", choose];
}

export function StateFilter({ value, choose }: { value: string; choose: (next: string) => void }) {
  return (
    <fieldset className="segments">
      <legend className="unseen">State</legend>
      {CHOICES.map(([each, words]) => (
        <button
          key={each}
          type="button"
          className="small"
          aria-pressed={value === each}
          onClick={() => choose(each)}
        >
          {words}
        </button>
      ))}
    </fieldset>
  );
}

export function passes(filter: string, standing: Standing): boolean {
  return filter === "" || filter === standing || (filter === "running" && standing === "stuck");
}
