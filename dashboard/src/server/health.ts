/** Whether the server answers, and whether it reaches its store. */
import { address } from "./address";
import type { Health } from "./shapes";

const PATIENCE = 8_000;

export type Standing = "well" | "store-away" | "silent";

export async function health(): Promise<Standing> {
  try {
    const answer = await fetch(address("health/"), { signal: AbortSignal.timeout(PATIENCE) });
    // Without its store the server answers 503 and says so; a proxy's 503 says nothing of a store.
    const { database_connected } = (await answer.json()) as Partial<Health>;
    if (database_connected === undefined) return "silent";
    return database_connected ? "well" : "store-away";
  } catch {
    return "silent";
  }
}
