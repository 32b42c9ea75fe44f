/** How the live stream stands; what the page always shows, and never better than it is. */

export type Connection =
  | { is: "connecting" }
  /** Connected, and still fetching what was missed. */
  | { is: "catching-up" }
  | { is: "connected" }
  /** `at` is when it is tried again, in milliseconds since 1970. */
  | { is: "retrying"; at: number; why: string; attempt: number }
  /** The stream is open, and the server answers nothing else. */
  | { is: "silent"; why: string }
  /** The server answers, and cannot read its store. */
  | { is: "store-away"; why: string }
  /** It is no use to try again before something is done: `what` says which. */
  | { is: "refused"; status: number; what: string }
  /** The page is out of sight and has let go of its connection; it comes back when it is seen. */
  | { is: "resting" }
  | { is: "stopped" };

/** The state in words. */
export function said(connection: Connection, now: number): string {
  switch (connection.is) {
    case "connecting":
      return "Connecting";
    case "catching-up":
      return "Catching up";
    case "connected":
      return "Connected";
    case "retrying": {
      const seconds = Math.max(0, Math.ceil((connection.at - now) / 1000));
      const head = connection.attempt > 2 ? "Server away" : "Connection lost";
      return seconds > 0 ? `${head}, retrying in ${seconds} s` : `${head}, retrying`;
    }
    case "silent":
      return "Server silent";
    case "store-away":
      return "Store away";
    case "refused":
      return connection.status === 401 ? "Sign-in needed" : "Refused";
    case "resting":
      return "Resting";
    case "stopped":
      return "Not live";
  }
}
