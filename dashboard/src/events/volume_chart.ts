/** The drawing of the volume: stacked bars on a canvas, by uPlot. */
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { local, utc } from "../parts/moment";
import { current } from "../parts/settings";
import type { Histogram } from "../server/shapes";
import { stacked } from "./volume_words";

const HEIGHT = 72;

export interface Drawing {
  show: (data: Histogram) => void;
  destroy: () => void;
}

/** `zoom` is told the time a person dragged over, in seconds since 1970. */
export function draw(place: HTMLElement, zoom: (since: number, until: number) => void): Drawing {
  const bars = uPlot.paths.bars?.({ size: [0.9, 40], align: 1 });
  const series = (color: string): uPlot.Series => ({
    fill: () => colour(place, color),
    stroke: "transparent",
    width: 0,
    points: { show: false },
    ...(bars ? { paths: bars } : {}),
  });
  const axis = {
    stroke: () => colour(place, "--quiet"),
    grid: { show: false },
    ticks: { show: false },
  };
  const chart = new uPlot(
    {
      width: place.clientWidth || 300,
      height: HEIGHT,
      legend: { show: false },
      cursor: { y: false, drag: { x: true, y: false, setScale: false }, points: { show: false } },
      scales: { x: { time: true }, y: { range: (_, __, most) => [0, Math.max(1, most)] } },
      // From the back to the front: all, failures and successes, failures.
      series: [{}, series("--none"), series("--good"), series("--bad")],
      axes: [
        { ...axis, size: 20, gap: 2, values: (_, splits) => inWords(splits) },
        {
          ...axis,
          size: 44,
          gap: 4,
          space: 18,
          incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 1e5, 1e6],
        },
      ],
      hooks: {
        setSelect: [
          (self) => {
            if (self.select.width < 3) return;
            const since = self.posToVal(self.select.left, "x");
            const until = self.posToVal(self.select.left + self.select.width, "x");
            self.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
            zoom(since, until);
          },
        ],
      },
    },
    [[], [], [], []],
    place,
  );
  const fit = new ResizeObserver(() => chart.setSize({ width: place.clientWidth, height: HEIGHT }));
  fit.observe(place);
  const redraw = () => chart.redraw();
  const themes = new MutationObserver(redraw);
  themes.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  dark.addEventListener("change", redraw);
  return {
    show: (data) => {
      chart.batch(() => {
        chart.setData(stacked(data));
        chart.setScale("x", {
          min: Date.parse(data.since) / 1000,
          max: Date.parse(data.until) / 1000,
        });
      });
    },
    destroy: () => {
      fit.disconnect();
      themes.disconnect();
      dark.removeEventListener("change", redraw);
      chart.destroy();
    },
  };
}

/** Round instants (seconds), as short as they can be told apart, by the clock that was chosen. */
export function inWords(splits: number[]): string[] {
  const step = (splits[1] ?? 0) - (splits[0] ?? 0);
  const write = current().times === "utc" ? utc : local;
  const [from, to] = step >= 86_400 ? [5, 10] : step >= 60 ? [11, 16] : [11, 19];
  return splits.map((at) => write(at * 1000).slice(from, to));
}

function colour(place: HTMLElement, name: string): string {
  const probe = place.ownerDocument.createElement("span");
  probe.style.color =
    name === "--none" ? "color-mix(in srgb, var(--quiet) 45%, transparent)" : `var(${name})`;
  place.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}
