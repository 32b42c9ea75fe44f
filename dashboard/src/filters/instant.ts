/** What a person types as a time: how long ago, or by the clock that the page shows. */

const SECONDS: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };

/** As the server is told; null where it makes no sense. */
export function instant(text: string, now: number, utc: boolean): string | null {
  const ago = /^(\d+) ?([smhdw])$/.exec(text);
  if (ago) return iso(now - Number(ago[1]) * (SECONDS[ago[2] ?? ""] ?? 0) * 1000);
  const whole = /^\d{4}-\d\d-\d\d$/.test(text) ? `${text}T00:00` : text.replace(" ", "T");
  const hasZone = /(z|[+-]\d\d:?\d\d)$/i.test(whole);
  return iso(Date.parse(utc && !hasZone ? `${whole}Z` : whole));
}

function iso(at: number): string | null {
  return Number.isNaN(at) ? null : new Date(at).toISOString();
}
