/** A long list that follows what happens to its rows: what is in sight is asked again, and nothing else. */
import type { Event } from "@airlift/protocol/api/schemas";
import { useEffect, useMemo, useSyncExternalStore } from "react";
import { liveFeed } from "./live-feed.ts";
import { soon } from "./soon.ts";
import { WindowedList, type WindowPage } from "./windowed-list.ts";

export interface LiveWindowOptions<Row> {
  /** The list begins anew when it is another function. */
  readonly fetchPage: (cursor: string | undefined) => Promise<WindowPage<Row>>;
  /** Whether an event may have changed a row, or the list; the same function as long as the list is the same. */
  readonly isTouchedBy: (event: Event) => boolean;
}

export function useLiveWindow<Row>({ fetchPage, isTouchedBy }: LiveWindowOptions<Row>): WindowedList<Row> {
  const list = useMemo(() => new WindowedList({ fetchPage }), [fetchPage]);
  useSyncExternalStore(list.subscribe, () => list.version);
  useEffect(() => {
    // While rows keep changing, what is seen is asked again at intervals.
    const refresh = soon(() => list.refresh());
    const stopEvents = liveFeed.onEvent((event) => isTouchedBy(event) && refresh.ask());
    const stopLines = liveFeed.onLine(() => {
      if (liveFeed.line.kind === "live") list.retry();
      if (liveFeed.line.kind === "live") refresh.ask();
    });
    return () => {
      refresh.stop();
      stopEvents();
      stopLines();
    };
  }, [list, isTouchedBy]);
  return list;
}
