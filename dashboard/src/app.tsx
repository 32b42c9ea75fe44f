/** The page: which view stands in the frame. */

import { MutationCache, QueryCache, QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { AgentsView } from "./agents/agents_view";
import { DeliveryView } from "./delivery/delivery_view";
import { EventsView } from "./events/events_view";
import { Frame } from "./frame/frame";
import { SignedInOnly } from "./frame/sign_in";
import { JobView } from "./jobs/job_view";
import { JobsView } from "./jobs/jobs_view";
import { to, usePlace } from "./place/place";
import { Away, Refused } from "./server/ask";
import { StatusView } from "./status/status_view";
import { TypesView } from "./types/types_view";
import { WorkflowView } from "./workflows/workflow_view";
import { WorkflowsView } from "./workflows/workflows_view";

/** A session that has ended shows itself by a 401 to whatever is asked next. */
function noticed(error: Error): void {
  if (error instanceof Refused && error.status === 401)
    void client.invalidateQueries({ queryKey: ["session"] });
}

const AGAIN_AFTER = 5_000;

const client = new QueryClient({
  queryCache: new QueryCache({ onError: noticed }),
  mutationCache: new MutationCache({ onError: noticed }),
  defaultOptions: {
    queries: {
      networkMode: "always",
      retry: (count, error) => !(error instanceof Refused && error.status < 500) && count < 3,
      // A server that was away is asked again by itself, as its error says.
      refetchInterval: ({ state }) => (state.error instanceof Away ? AGAIN_AFTER : false),
    },
  },
});

export function App() {
  return (
    <QueryClientProvider client={client}>
      <Frame>
        <SignedInOnly>
          <View />
        </SignedInOnly>
      </Frame>
    </QueryClientProvider>
  );
}

function View() {
  const { view, id } = usePlace();
  switch (view) {
    case "":
    case "events":
      return <EventsView id={id} />;
    case "workflows":
      return id === null ? <WorkflowsView /> : <WorkflowView key={id} id={id} />;
    case "agents":
      return <AgentsView />;
    case "jobs":
      return id === null ? <JobsView /> : <JobView key={id} id={id} />;
    case "types":
      return <TypesView />;
    case "delivery":
      return <DeliveryView />;
    case "status":
      return <StatusView />;
    default:
      return (
        <div className="view">
          <h1>There is no such view</h1>
          <p className="note">
            <a href={to("events")}>Go to the events</a>
          </p>
        </div>
      );
  }
}
