/** Who one is to the server, and whether it asks for keys. */
import { useQuery } from "@tanstack/react-query";
import { ask } from "./ask";
import type { Session } from "./shapes";

export function useSession(options: { retry?: boolean } = {}) {
  return useQuery({ queryKey: ["session"], queryFn: () => ask<Session>("session"), ...options });
}
