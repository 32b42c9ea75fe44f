/** A button that copies a text, and says that it did. */
import { useEffect, useState } from "react";

export function Copy({ text, children }: { text: () => string; children: string }) {
  const [said, say] = useState("");
  useEffect(() => {
    if (said === "") return;
    const timer = setTimeout(() => say(""), 2000);
    return () => clearTimeout(timer);
  }, [said]);
  const copy = async () => {
    say((await copied(text())) ? "Copied" : "Copying is not allowed here");
  };
  return (
    <button type="button" className="small" onClick={() => void copy()}>
      <span aria-live="polite">{said || children}</span>
    </button>
  );
}

/** Also where the clipboard is closed to pages: over plain HTTP from another machine. */
async function copied(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // There is no clipboard, or none for this page; the old way may still be allowed.
  }
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "unseen";
  document.body.append(area);
  area.select();
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- the only way over plain HTTP
  const done = document.execCommand("copy");
  area.remove();
  return done;
}
