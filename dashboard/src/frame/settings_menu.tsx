/** Theme, times, what keys do, and the session, behind one button. */
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type RefObject, useEffect, useRef } from "react";
import { change, type Settings, useSettings } from "../parts/settings";
import { ask } from "../server/ask";
import { useSession } from "../server/session";

const THEMES: Record<Settings["theme"], string> = {
  system: "As the system",
  light: "Light",
  dark: "Dark",
};
const TIMES: Record<Settings["times"], string> = {
  relative: "How long ago",
  local: "Local time",
  utc: "UTC",
};

export function SettingsMenu({ showKeys }: { showKeys: () => void }) {
  const settings = useSettings();
  const menu = useRef<HTMLDetailsElement>(null);
  useClosing(menu);
  return (
    <details className="menu" ref={menu}>
      <summary>Settings</summary>
      <div className="panel">
        <Choice
          name="Theme"
          all={THEMES}
          value={settings.theme}
          choose={(theme) => change({ theme })}
        />
        <Choice
          name="Times"
          all={TIMES}
          value={settings.times}
          choose={(times) => change({ times })}
        />
        <button
          type="button"
          onClick={() => {
            // Where the help's end gives the focus back to.
            close(menu.current);
            showKeys();
          }}
        >
          Keys
        </button>
        <SignedIn />
      </div>
    </details>
  );
}

function close(menu: HTMLDetailsElement | null): void {
  menu?.removeAttribute("open");
  menu?.querySelector("summary")?.focus();
}

/** It closes as menus do: by Escape, and when one goes elsewhere. */
function useClosing(menu: RefObject<HTMLDetailsElement | null>): void {
  useEffect(() => {
    const left = ({ target }: Event) => {
      if (!menu.current?.contains(target as Node)) menu.current?.removeAttribute("open");
    };
    const pressed = (event: KeyboardEvent) => {
      if (event.key !== "Escape" || !menu.current?.open) return;
      // Before the keys of the view hear of it: only the menu closes.
      event.stopPropagation();
      close(menu.current);
    };
    document.addEventListener("pointerdown", left);
    document.addEventListener("focusin", left);
    document.addEventListener("keydown", pressed, { capture: true });
    return () => {
      document.removeEventListener("pointerdown", left);
      document.removeEventListener("focusin", left);
      document.removeEventListener("keydown", pressed, { capture: true });
    };
  }, [menu]);
}

interface ChoiceProps<T extends string> {
  name: string;
  all: Record<T, string>;
  value: T;
  choose: (value: T) => void;
}

function Choice<T extends string>({ name, all, value, choose }: ChoiceProps<T>) {
  return (
    <label>
      {name}
      <select value={value} onChange={(event) => choose(event.target.value as T)}>
        {Object.entries<string>(all).map(([key, words]) => (
          <option key={key} value={key}>
            {words}
          </option>
        ))}
      </select>
    </label>
  );
}

function SignedIn() {
  const client = useQueryClient();
  const { data } = useSession();
  const leave = useMutation({
    mutationFn: () => ask("session", { method: "DELETE" }),
    // What was seen with the key is forgotten.
    onSuccess: () => client.resetQueries(),
  });
  if (!data?.authenticated) return null;
  return (
    <div className="who">
      <span>
        Signed in with <strong>{data.name || "a key"}</strong>
      </span>
      {leave.error && <p role="alert">{leave.error.message}</p>}
      <button type="button" onClick={() => leave.mutate()} disabled={leave.isPending}>
        Sign out
      </button>
    </div>
  );
}
