/** Keeps what the pages show in step with the server's events. */
import type { Event, Update } from "@airlift/protocol/api/schemas";
import { type QueryClient, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { liveFeed } from "./live-feed.ts";

/** Events of one moment are answered by one question. */
const GATHER_MS = 250;

/** What an event makes stale: the first parts of query keys. */
function touchedBy({ kind }: Event): readonly string[] {
  const [noun = ""] = kind.split(".");
  if (noun === "device") return ["devices", "events"];
  if (noun === "image") return ["images", "events"];
  return ["updates", "devices", "campaigns", "events"];
}

export function useFeedKeepsPagesFresh(): void {
  const client = useQueryClient();
  useEffect(() => {
    const stale = new Set<string>();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const refresh = () => {
      timer = undefined;
      for (const key of stale) void client.invalidateQueries({ queryKey: [key] });
      stale.clear();
    };
    const stopEvents = liveFeed.onEvent((event) => {
      if (event.kind === "update.progress") return showProgress(client, event);
      for (const key of touchedBy(event)) stale.add(key);
      timer ??= setTimeout(refresh, GATHER_MS);
    });
    // What happened while the line was down was not told: all is asked again.
    const stopLines = liveFeed.onLine(() => {
      if (liveFeed.line.kind === "live") void client.invalidateQueries();
    });
    return () => {
      clearTimeout(timer);
      stopEvents();
      stopLines();
    };
  }, [client]);
}

/** Progress comes many times a second: it changes what is shown without a question. */
function showProgress(client: QueryClient, { updateId, facts }: Event): void {
  const { acknowledgedBytes } = facts;
  if (updateId === null || typeof acknowledgedBytes !== "number") return;
  client.setQueryData<Update>(["updates", updateId], (update) => update && { ...update, acknowledgedBytes });
}
