/** An instant, as the reader wants it: how long ago, in local time, or in UTC; the others on hover. */
import { useClock } from "./clock";
import { useSettings } from "./settings";

const UNITS: [string, number][] = [
  ["d", 86_400],
  ["h", 3600],
  ["m", 60],
  ["s", 1],
];

export function ago(at: number, now: number): string {
  const seconds = Math.round((now - at) / 1000);
  if (Math.abs(seconds) < 1) return "now";
  const [unit, size] = UNITS.find(([, each]) => Math.abs(seconds) >= each) ?? ["s", 1];
  const count = Math.floor(Math.abs(seconds) / size);
  return seconds < 0 ? `in ${count} ${unit}` : `${count} ${unit} ago`;
}

/** How long something took, in words. */
export function lasting(seconds: number): string {
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} m ${Math.round(seconds % 60)} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours} h ${minutes % 60} m`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

const two = (n: number) => String(n).padStart(2, "0");
const three = (n: number) => String(n).padStart(3, "0");

export function local(at: number): string {
  const d = new Date(at);
  const day = `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())}`;
  return `${day} ${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}.${three(d.getMilliseconds())}`;
}

export function utc(at: number): string {
  return new Date(at).toISOString().replace("T", " ");
}

/** An instant in the way that was chosen. */
export function written(at: number, style: "relative" | "local" | "utc", now: number): string {
  if (Number.isNaN(at)) return "";
  if (style === "relative") return ago(at, now);
  return style === "utc" ? utc(at) : local(at);
}

export function Moment({ at }: { at: number | string | null }) {
  const { times } = useSettings();
  const now = useClock(times === "relative" ? 1000 : 0);
  const instant = typeof at === "string" ? Date.parse(at) : (at ?? Number.NaN);
  if (Number.isNaN(instant)) return <span className="quiet">–</span>;
  return (
    <time dateTime={new Date(instant).toISOString()} title={`${local(instant)}\n${utc(instant)}`}>
      {times === "relative" ? ago(instant, now) : <Dated text={written(instant, times, now)} />}
    </time>
  );
}

/** On a narrow screen the day is left out; it stands in the title. */
function Dated({ text }: { text: string }) {
  return (
    <>
      <span className="day">{text.slice(0, 11)}</span>
      {text.slice(11)}
    </>
  );
}
