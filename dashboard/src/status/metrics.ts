/** The server's figures, out of the text that Prometheus reads. */

export type Figures = Map<string, number>;

/** Each figure under its name, summed over its labels. */
export function read(text: string): Figures {
  const figures: Figures = new Map();
  for (const line of text.split("\n")) {
    const match = /^([a-z_]+)(?:\{[^}]*\})? (\S+)$/.exec(line);
    if (match === null || match[1] === undefined) continue;
    figures.set(match[1], (figures.get(match[1]) ?? 0) + Number(match[2]));
  }
  return figures;
}

/** How much a figure grew in a second. */
export function rate(name: string, now: Sample, before: Sample | null): number | null {
  if (before === null || now.at <= before.at) return null;
  const grown = (now.figures.get(name) ?? 0) - (before.figures.get(name) ?? 0);
  return grown < 0 ? null : grown / ((now.at - before.at) / 1000);
}

export interface Sample {
  at: number;
  figures: Figures;
}
