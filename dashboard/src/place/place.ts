/**
 * Where the page is: a view and its filters, all behind the `#`.
 *
 * So the page works under any path prefix without being told it, a link reproduces the view, and
 * what was searched for stays out of the server's log. No router's hash mode is used: those put the
 * search before the `#`, and decode a path before it is split, so that ids with `/` or `%` break.
 */
import { useSyncExternalStore } from "react";

export interface Place {
  /** The view's name, such as `events`. */
  view: string;
  /** What of it: an event, a workflow, a job. */
  id: string | null;
  /** What stands behind the `?`. */
  search: string;
}

let seen = "";
let place: Place = read("");

/** What stands behind the `#` of an address, as a place. */
export function read(hash: string): Place {
  const text = hash.replace(/^#?\/?/, "");
  const mark = text.indexOf("?");
  const path = mark < 0 ? text : text.slice(0, mark);
  const [view = "", ...rest] = path.split("/");
  return {
    view: decoded(view),
    id: rest.length > 0 && rest.join("/") !== "" ? decoded(rest.join("/")) : null,
    search: mark < 0 ? "" : text.slice(mark + 1),
  };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // Somebody typed a lone `%`; it is meant as it is.
  }
}

/** The address of a place within the page. */
export function to(
  view: string,
  id: string | null = null,
  search: string | URLSearchParams = "",
): string {
  const path = id === null ? view : `${view}/${encodeURIComponent(id)}`;
  const text = search.toString();
  return text ? `#/${path}?${text}` : `#/${path}`;
}

export function go(address: string, options: { replace?: boolean | undefined } = {}): void {
  if (options.replace) window.history.replaceState(null, "", address);
  else window.history.pushState(null, "", address);
  window.dispatchEvent(new HashChangeEvent("hashchange"));
}

function subscribe(changed: () => void): () => void {
  window.addEventListener("hashchange", changed);
  window.addEventListener("popstate", changed);
  return () => {
    window.removeEventListener("hashchange", changed);
    window.removeEventListener("popstate", changed);
  };
}

export function usePlace(): Place {
  return useSyncExternalStore(subscribe, () => {
    if (window.location.hash !== seen) {
      seen = window.location.hash;
      place = read(seen);
    }
    return place;
  });
}
