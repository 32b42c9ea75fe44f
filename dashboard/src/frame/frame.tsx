/** What stands around every view: where one can go, how the connection stands, how things are shown. */

import { type ReactNode, useEffect, useState } from "react";
import { useKeys } from "../parts/keys";
import { to, usePlace } from "../place/place";
import { ConnectionState } from "./connection_state";
import { Help } from "./help";
import { SettingsMenu } from "./settings_menu";
import "./frame.css";

const VIEWS: [view: string, name: string][] = [
  ["events", "Events"],
  ["workflows", "Workflows"],
  ["agents", "Agents"],
  ["jobs", "Jobs"],
  ["types", "Types"],
  ["delivery", "Delivery"],
  ["status", "Status"],
];

export function Frame({ children }: { children: ReactNode }) {
  const [helps, help] = useState(false);
  useKeys({ "?": () => help(true) });
  useTitle();
  return (
    <div className="frame">
      <button type="button" className="skip" onClick={skip}>
        Skip to content
      </button>
      <header>
        <a href={to("events")} className="brand">
          Tidings
        </a>
        <nav aria-label="Views">
          {VIEWS.map(([view, name]) => (
            <Tab key={view} view={view} name={name} />
          ))}
        </nav>
        <ConnectionState />
        <SettingsMenu showKeys={() => help(true)} />
      </header>
      <main id="main" tabIndex={-1}>
        {children}
      </main>
      <Help open={helps} close={() => help(false)} />
    </div>
  );
}

function Tab({ view, name }: { view: string; name: string }) {
  const here = (usePlace().view || "events") === view;
  return (
    <a href={to(view)} aria-current={here ? "page" : undefined}>
      {name}
    </a>
  );
}

/** Tabs and histories of browsers tell views apart by their titles. */
function useTitle(): void {
  const { view, id } = usePlace();
  const name = VIEWS.find(([each]) => each === view)?.[1];
  const title = name === undefined || view === "events" ? "Tidings" : `${name} · Tidings`;
  useEffect(() => {
    document.title = id === null || view === "events" ? title : `${id} · ${title}`;
  }, [view, id, title]);
}

/** No link to `#main`: what stands behind the `#` is the view. */
function skip(): void {
  document.getElementById("main")?.focus();
}
