/** What keys do. */
import { useEffect, useRef } from "react";

const KEYS: [key: string, what: string][] = [
  ["/", "Filter the events"],
  ["j", "To the next older event"],
  ["k", "To the next newer event"],
  ["Space", "Pause and resume the live list"],
  ["Esc", "Close the event, leave the field"],
  ["Ctrl", "With the wheel: zoom a timeline"],
  ["?", "This help"],
];

export function Help({ open, close }: { open: boolean; close: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (open) dialog.current?.showModal();
    else dialog.current?.close();
  }, [open]);
  return (
    <dialog ref={dialog} className="help" aria-labelledby="help-title" onClose={close}>
      <h2 id="help-title">Keys</h2>
      <dl>
        {KEYS.map(([key, what]) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
      <button type="button" onClick={close}>
        Close
      </button>
    </dialog>
  );
}
