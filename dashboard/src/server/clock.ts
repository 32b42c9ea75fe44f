/**
 * What time it is, by the server's clock: its events are dated by it, and this machine's may be off.
 */

/** Answers say it to the second, and take a while; what is nearer counts as the same. */
const NEAR = 3_000;

let ahead = 0;

/** Every answer says what time it is. */
export function heard(answer: Response): void {
  const date = Date.parse(answer.headers.get("date") ?? "");
  if (Number.isNaN(date)) return;
  const found = date - Date.now();
  ahead = Math.abs(found) < NEAR ? 0 : found;
}

/** In milliseconds since 1970. */
export function serverNow(): number {
  return Date.now() + ahead;
}
