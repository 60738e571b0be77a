/** Keeps what the pages show in step with the server's events. */
import type { Event } from "@airlift/protocol/api/schemas";
import { type QueryClient, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { type LiveFeed, liveFeed } from "./live-feed.ts";
import { showLine, showProgress, showValues } from "./live-lines.ts";
import { Refresher } from "./refresher.ts";
import { touchedBy } from "./touched-queries.ts";

/** As long as it is not stopped with what it returns. */
export function keepFresh(client: QueryClient, feed: LiveFeed): () => void {
  const refresher = new Refresher(client);
  const onEvent = (event: Event) => {
    if (event.kind === "update.progress") return showProgress(client, event);
    if (event.kind === "device.value") return showValues(client, event);
    for (const key of [...showLine(client, event), ...touchedBy(event)]) refresher.add(key);
  };
  // What happened while the line was down was not told: all is asked again. A line that ends may be a session's end.
  const onLine = () => {
    if (feed.line.kind === "live") void client.invalidateQueries();
    if (feed.line.kind === "lost") void client.invalidateQueries({ queryKey: ["session"] });
  };
  const stops = [feed.onEvent(onEvent), feed.onLine(onLine), () => refresher.stop()];
  return () => {
    for (const stop of stops) stop();
  };
}

/** Follows the server while `isOn`. */
export function useFeedKeepsPagesFresh(isOn: boolean): void {
  const client = useQueryClient();
  useEffect(() => {
    if (!isOn) return undefined;
    const stop = keepFresh(client, liveFeed);
    liveFeed.start();
    return () => {
      stop();
      liveFeed.stop();
    };
  }, [client, isOn]);
}
