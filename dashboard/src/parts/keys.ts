/** What single keys do in a view, unless one is typing. */
import { useEffect, useRef } from "react";

const TYPING = "input:not([type=checkbox]), textarea, select, [contenteditable]";
const PRESSABLE = "button, a, summary, input";

export function useKeys(keys: Record<string, () => unknown>): void {
  const latest = useRef(keys);
  latest.current = keys;
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      const target = event.target as HTMLElement;
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      // Keys then belong to what stands in front of the view: its Escape closes it, and no more.
      if (event.defaultPrevented || document.querySelector("dialog[open]")) return;
      if (target.matches(TYPING)) {
        if (event.key === "Escape") target.blur();
        return;
      }
      if (event.key === " " && target.matches(PRESSABLE)) return;
      const action = latest.current[event.key];
      if (action === undefined) return;
      event.preventDefault();
      action();
    };
    document.addEventListener("keydown", pressed);
    return () => document.removeEventListener("keydown", pressed);
  }, []);
}
