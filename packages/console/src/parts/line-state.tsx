/** Whether the page hears from the server; when it does not, since when what it shows may be out of date. */
import { useSyncExternalStore } from "react";
import { liveFeed } from "../api/live-feed.ts";
import { clockTime } from "./instants.tsx";

export function LineState() {
  const line = useSyncExternalStore(liveFeed.onLine, () => liveFeed.line);
  return (
    <span className="line" data-line={line.kind} role="status">
      {line.kind === "live" && "live"}
      {line.kind === "connecting" && "connecting …"}
      {line.kind === "lost" &&
        `no connection since ${clockTime(line.sinceMs)}, trying again: what you see may be out of date`}
    </span>
  );
}
