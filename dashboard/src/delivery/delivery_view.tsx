/** Delivery: how far subscriptions and webhooks have come, and what was given up. */
import type { ReactNode } from "react";
import { useAnswer, useFreshness } from "../live/fresh";
import { Empty, Failed, Loading } from "../parts/notice";
import { ask, Refused } from "../server/ask";
import { DeadLetters } from "./dead_letters";
import type { DeadLetter, Subscription, Webhook } from "./shapes";
import { Subscriptions } from "./subscriptions";
import { Webhooks } from "./webhooks";

/** What is behind catches up without an event, so it is asked for; often meanwhile (milliseconds). */
const often = (moves: boolean) => (moves ? 1000 : 5000);
const limit = "100";

interface Letters {
  dead_letters: DeadLetter[];
  next: string | null;
}

export function DeliveryView() {
  const subscriptions = useAnswer(
    ["delivery", "subscriptions"],
    (signal) => ask<{ subscriptions: Subscription[] }>("subscriptions", { signal }),
    (data) => often(data?.subscriptions.some((each) => each.lag > 0 && !each.paused) ?? false),
  );
  const webhooks = useAnswer(
    ["delivery", "webhooks"],
    (signal) => ask<{ webhooks: Webhook[] }>("webhooks", { signal }),
    (data) => often(data?.webhooks.some((each) => each.lag > 0 || each.waiting > 0) ?? false),
  );
  const letters = useAnswer(
    ["delivery", "dead-letters"],
    (signal) => ask<Letters>("dead-letters", { params: new URLSearchParams({ limit }), signal }),
    (data) => often(data?.dead_letters.some((each) => each.asked !== "") ?? false),
  );
  useFreshness([["delivery"]]);
  const refusal = subscriptions.error ?? webhooks.error;
  if (refusal instanceof Refused && refusal.status === 403) {
    return (
      <div className="view">
        <h1>Delivery</h1>
        <Empty title="Not with this key">
          <p>Only a key with the scope admin, bound to no project, may look at delivery.</p>
          <p className="quiet">{refusal.message}</p>
        </Empty>
      </div>
    );
  }
  return (
    <div className="view">
      <h1>Delivery</h1>
      <Part title="Subscriptions" query={subscriptions}>
        {(data) => <Subscriptions all={data.subscriptions} />}
      </Part>
      <Part title="Webhooks" query={webhooks}>
        {(data) => <Webhooks all={data.webhooks} />}
      </Part>
      <Part title="Dead letters" query={letters}>
        {(data) => <DeadLetters all={data.dead_letters} more={data.next !== null} />}
      </Part>
    </div>
  );
}

interface PartProps<T> {
  title: string;
  query: { data: T | undefined; error: unknown; refetch: () => unknown };
  children: (data: T) => ReactNode;
}

function Part<T>({ title, query, children }: PartProps<T>) {
  return (
    <section className="part" aria-label={title}>
      <h2>{title}</h2>
      {query.data !== undefined ? (
        children(query.data)
      ) : query.error ? (
        <Failed error={query.error} again={() => void query.refetch()} />
      ) : (
        <Loading what={title.toLowerCase()} />
      )}
    </section>
  );
}
