/** How the reader wants to see things: theme and times; kept in the browser. */
import { useSyncExternalStore } from "react";

export interface Settings {
  theme: "system" | "light" | "dark";
  times: "relative" | "local" | "utc";
}

const KEY = "tidings.settings";
const DEFAULTS: Settings = { theme: "system", times: "local" };
const listeners = new Set<() => void>();
let settings = load();

function load(): Settings {
  try {
    return { ...DEFAULTS, ...(JSON.parse(localStorage.getItem(KEY) ?? "{}") as Partial<Settings>) };
  } catch {
    // A browser that keeps nothing, or something that is not ours: the defaults do.
    return DEFAULTS;
  }
}

export function current(): Settings {
  return settings;
}

export function change(changes: Partial<Settings>): void {
  settings = { ...settings, ...changes };
  try {
    localStorage.setItem(KEY, JSON.stringify(settings));
  } catch {
    // It then holds until the page is left.
  }
  show();
  for (const listener of listeners) listener();
}

/** Have the page look as chosen. */
export function show(): void {
  const { theme } = settings;
  if (theme === "system") document.documentElement.removeAttribute("data-theme");
  else document.documentElement.setAttribute("data-theme", theme);
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function useSettings(): Settings {
  return useSyncExternalStore(subscribe, () => settings);
}
