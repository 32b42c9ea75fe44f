/**
 * A workflow as a timeline: a bar for each agent, who started whom by indentation, events as marks.
 *
 * It lives while the workflow runs: what has not ended reaches up to now. Zoom with the buttons or
 * with Ctrl and the wheel; the tree beside it says the same to those who do not see it.
 */

import { type RefObject, useEffect, useMemo, useRef, useState } from "react";
import type { EventItem, TreeNode } from "../server/shapes";
import { Lane, OtherLane, percent } from "./lane";
import { moved, place, sinceStart, ticks, type Window, zoomed } from "./time_scale";
import "./timeline.css";

interface Props {
  nodes: TreeNode[];
  events: EventItem[];
  now: number;
}

export function Timeline({ nodes, events, now }: Props) {
  const whole = useWhole(nodes, events, now);
  const [chosen, choose] = useState<Window | null>(null);
  const window = chosen ?? whole;
  const { own, others } = useMemo(() => sorted(nodes, events), [nodes, events]);
  const zoom = (factor: number, at = (window.from + window.to) / 2) => {
    const next = zoomed(window, whole, at, factor);
    choose(next.to - next.from >= whole.to - whole.from ? null : next);
  };
  const track = useRef<HTMLSpanElement>(null);
  useWheel(track, (share, factor) => zoom(factor, window.from + share * (window.to - window.from)));
  const move = (share: number) => choose(moved(window, whole, share));
  const tools: [words: string, act: () => void][] = [
    ["Zoom out", () => zoom(2)],
    ["← Earlier", () => move(-0.5)],
    ["Later →", () => move(0.5)],
    ["All", () => choose(null)],
  ];
  return (
    <section className="timeline" aria-label="Timeline">
      <div className="tools">
        <button
          type="button"
          className="small"
          title="Or Ctrl and the wheel"
          onClick={() => zoom(0.5)}
        >
          Zoom in
        </button>
        {tools.map(([words, act]) => (
          <button
            key={words}
            type="button"
            className="small"
            onClick={act}
            disabled={chosen === null}
          >
            {words}
          </button>
        ))}
      </div>
      <ul className="lanes">
        <Scale window={window} origin={whole.from} track={track} />
        {nodes.map((node) => (
          <Lane
            key={`${node.kind}/${node.id}`}
            node={node}
            window={window}
            marks={own.get(node.id) ?? []}
            now={now}
          />
        ))}
        {others.length > 0 && <OtherLane window={window} marks={others} />}
      </ul>
    </section>
  );
}

/** From the first instant to the last, or up to now while something runs. */
function useWhole(nodes: TreeNode[], events: EventItem[], now: number): Window {
  const known = useMemo(() => {
    const instants = [
      ...nodes.flatMap((node) => [node.started_at, node.last_event_at]),
      ...events.map((event) => event.timestamp),
    ]
      .map((each) => Date.parse(each ?? ""))
      .filter((at) => !Number.isNaN(at));
    const from = instants.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
    const to = instants.reduce((a, b) => Math.max(a, b), from);
    return { from, to, running: nodes.some((node) => node.state === "running") };
  }, [nodes, events]);
  const to = known.running ? Math.max(known.to, now) : known.to;
  return { from: known.from, to: Math.max(to, known.from + 1) };
}

/** The events by whose they are; `others` are about no agent, nor the workflow itself. */
function sorted(nodes: TreeNode[], events: EventItem[]) {
  const own = new Map<string, EventItem[]>(nodes.map((node) => [node.id, []]));
  const others: EventItem[] = [];
  for (const event of events) (own.get(event.aggregate_id) ?? others).push(event);
  return { own, others };
}

interface ScaleProps {
  window: Window;
  origin: number;
  track: RefObject<HTMLSpanElement | null>;
}

function Scale({ window, origin, track }: ScaleProps) {
  const most = Math.max(2, Math.floor((track.current?.clientWidth ?? 800) / 100));
  const marked = ticks(window, origin, most);
  const step = (marked[1] ?? window.to) - (marked[0] ?? window.from);
  return (
    <li className="lane scale" aria-hidden="true">
      <span />
      <span className="track" ref={track}>
        {marked.map((at) => (
          <span key={at} className="tick" style={{ insetInlineStart: percent(place(at, window)) }}>
            {sinceStart(at - origin, step)}
          </span>
        ))}
      </span>
    </li>
  );
}

/** Told of Ctrl and the wheel: where over the track, from 0 to 1, and how much to zoom. */
function useWheel(
  track: RefObject<HTMLElement | null>,
  turned: (share: number, factor: number) => void,
): void {
  const latest = useRef(turned);
  latest.current = turned;
  useEffect(() => {
    const lanes = track.current?.closest("ul");
    // React listens passively, and the browser would zoom the whole page as well.
    const wheel = (event: WheelEvent) => {
      if (!event.ctrlKey || !track.current) return;
      event.preventDefault();
      const box = track.current.getBoundingClientRect();
      const share = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
      latest.current(share, event.deltaY > 0 ? 1.25 : 0.8);
    };
    lanes?.addEventListener("wheel", wheel, { passive: false });
    return () => lanes?.removeEventListener("wheel", wheel);
  }, [track]);
}
