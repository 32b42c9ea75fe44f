/**
 * One question to the server: its answer as JSON, or an error that says what to do.
 *
 * `Refused` is what the server says itself (RFC 9457), `Away` that it was not the server who
 * answered, or nobody: a proxy's page, half an answer, silence.
 */
import { address } from "./address";
import { heard } from "./clock";
import { readJson } from "./json";
import type { Problem } from "./shapes";

/** No answer takes so long; a browser has six connections to a server, and none to lose. */
const PATIENCE = 60_000;

export class Refused extends Error {
  constructor(
    readonly problem: Problem,
    /** Seconds to wait before asking again; none where it was not said. */
    readonly retryAfter: number | null,
  ) {
    super(problem.detail);
  }

  get status(): number {
    return this.problem.status;
  }
}

export class Away extends Error {
  constructor(why: string) {
    super(`The server does not answer (${why}). It is asked again by itself.`);
  }
}

export interface Asked {
  params?: URLSearchParams | undefined;
  method?: string;
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal | undefined;
}

export async function ask<T>(path: string, asked: Asked = {}): Promise<T> {
  const late = AbortSignal.timeout(PATIENCE);
  const answer = await send(path, {
    ...asked,
    headers: { accept: "application/json", ...asked.headers },
    signal: asked.signal ? AbortSignal.any([asked.signal, late]) : late,
  });
  if (answer.status === 204) return null as T;
  ensure(answer, "application/json");
  return await json<T>(answer);
}

/** The answer itself, once it is known to be no error. */
export async function send(path: string, asked: Asked): Promise<Response> {
  const init: RequestInit = { method: asked.method ?? "GET", signal: asked.signal ?? null };
  init.headers = { ...asked.headers };
  if (asked.body !== undefined) {
    init.body = JSON.stringify(asked.body);
    init.headers = { ...init.headers, "content-type": "application/json" };
  }
  let answer: Response;
  try {
    answer = await fetch(address(path, asked.params), init);
  } catch (error) {
    throw away(error);
  }
  if (!answer.ok) throw await refusal(answer);
  heard(answer);
  return answer;
}

/** What a proxy shows instead of an answer may come with status 200. */
export function ensure(answer: Response, type: string): void {
  const given = answer.headers.get("content-type") ?? "nothing";
  if (!given.startsWith(type)) throw new Away(`something else answers in its place, with ${given}`);
}

async function json<T>(answer: Response): Promise<T> {
  try {
    return readJson(await answer.text()) as T;
  } catch (error) {
    throw error instanceof SyntaxError ? new Away("its answer was cut short") : away(error);
  }
}

/** Who gave up asking is told so as it is; all else is an absent server. */
function away(error: unknown): unknown {
  const name = error instanceof DOMException ? error.name : "";
  if (name === "AbortError") return error;
  if (name === "TimeoutError") return new Away(`not within ${PATIENCE / 1000} s`);
  return new Away(error instanceof Error ? error.message : String(error));
}

async function refusal(answer: Response): Promise<Error> {
  const type = answer.headers.get("content-type") ?? "";
  if (!type.startsWith("application/problem+json")) {
    // A proxy speaks for a server that it does not reach.
    return new Away(`${answer.status} ${answer.statusText}`.trim());
  }
  const seconds = Number.parseFloat(answer.headers.get("retry-after") ?? "");
  const problem = await json<Problem>(answer);
  return new Refused(problem, Number.isFinite(seconds) ? seconds : null);
}
