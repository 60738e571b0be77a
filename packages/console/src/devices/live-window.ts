/** A long list of devices that follows what happens to them. */
import type { Device } from "@airlift/protocol/api/schemas";
import { useEffect, useMemo, useSyncExternalStore } from "react";
import { liveFeed } from "../api/live-feed.ts";
import { WindowedList, type WindowPage } from "../api/windowed-list.ts";

/** While devices keep changing, what is seen is asked again this often. */
const REFRESH_MS = 1500;

export function useLiveWindow(
  fetchPage: (cursor: string | undefined) => Promise<WindowPage<Device>>,
): WindowedList<Device> {
  const list = useMemo(() => new WindowedList({ fetchPage }), [fetchPage]);
  useSyncExternalStore(list.subscribe, () => list.version);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let lastMs = Number.NEGATIVE_INFINITY;
    const soon = () => {
      timer ??= setTimeout(
        () => {
          timer = undefined;
          lastMs = performance.now();
          list.refresh();
        },
        Math.max(100, lastMs + REFRESH_MS - performance.now()),
      );
    };
    const stopEvents = liveFeed.onEvent(({ kind }) => {
      if (kind.startsWith("device.") ? kind !== "device.value" : kind === "update.transition") soon();
    });
    const stopLines = liveFeed.onLine(() => {
      if (liveFeed.line.kind === "live") list.retry();
      if (liveFeed.line.kind === "live") soon();
    });
    return () => {
      clearTimeout(timer);
      stopEvents();
      stopLines();
    };
  }, [list]);
  return list;
}
