/** Doing something about delivery: ask the server, then look again. */
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { ask } from "../server/ask";

export function useAction() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ path, body }: { path: string; body?: unknown }) =>
      ask(path, { method: "POST", body: body ?? {} }),
    onSettled: () => client.invalidateQueries({ queryKey: ["delivery"] }),
  });
}

export function Problem({ error }: { error: Error | null }) {
  return (
    error && (
      <p role="alert" className="problem">
        {error.message}
      </p>
    )
  );
}
