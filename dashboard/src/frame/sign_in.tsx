/** Asks for a key where the server wants one, and trades it for a session's cookie. */
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type SyntheticEvent, type ReactNode, useEffect, useRef, useState } from "react";
import { useConnection } from "../live/session";
import { Failed, Loading } from "../parts/notice";
import { ask } from "../server/ask";
import { useSession } from "../server/session";

export function SignedInOnly({ children }: { children: ReactNode }) {
  const session = useSession({ retry: true });
  const connection = useConnection();
  const shutOut = connection.is === "refused" && connection.status === 401;
  const { refetch } = session;
  useEffect(() => {
    // The session has ended while the page was open: the stream is the first to know.
    if (shutOut) void refetch();
  }, [shutOut, refetch]);
  if (session.data) {
    return session.data.keys && !session.data.authenticated ? <SignIn /> : children;
  }
  if (session.error) return <Failed error={session.error} again={() => void session.refetch()} />;
  return session.failureReason ? (
    <Failed error={session.failureReason} />
  ) : (
    <Loading what="the page" />
  );
}

function SignIn() {
  const client = useQueryClient();
  const [key, setKey] = useState("");
  const field = useRef<HTMLInputElement>(null);
  const enter = useMutation({
    mutationFn: (given: string) => ask("session", { method: "POST", body: { key: given } }),
    onSuccess: () => client.resetQueries(),
    onError: () => field.current?.select(),
  });
  useEffect(() => field.current?.focus(), []);
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    if (!enter.isPending) enter.mutate(key.trim());
  };
  return (
    <form className="sign-in" onSubmit={submit}>
      <h1>This server asks for a key</h1>
      <p>
        It begins with <code>tid_</code>. Whoever runs the server makes one:{" "}
        <code>tidings keys create --scope read</code>
      </p>
      <label>
        Key
        <input
          ref={field}
          type="password"
          autoComplete="current-password"
          value={key}
          required
          aria-invalid={enter.isError}
          aria-describedby="key-error"
          onChange={(event) => setKey(event.target.value)}
        />
      </label>
      <p id="key-error" className="error" role="alert">
        {enter.error?.message}
      </p>
      <button type="submit" className="strong">
        Sign in
      </button>
    </form>
  );
}
