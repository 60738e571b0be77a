/** How far a wave or a campaign is, how much it has brought to devices, how fast it goes, and when it would be through. */
import type { WaveCounts } from "@airlift/protocol/api/campaign";
import { Text } from "@mantine/core";
import { useEffect, useState } from "react";
import { sizeText } from "../parts/amounts.ts";
import { Moment } from "../parts/instants.tsx";
import { useNow } from "../parts/now.ts";
import { endedCount, executedCount, openCount } from "./outcome-bar.tsx";
import { endAtMs, ratePerMinute, type Sample, withSample } from "./rate.ts";

export interface PaceProps {
  readonly counts: WaveCounts;
  readonly deliveredBytes: number;
  /** ISO; null = not yet. */
  readonly startedAt: string | null;
  /** Whether devices are begun now: only then does it have a pace. */
  readonly isRunning: boolean;
}

export function Pace({ counts, deliveredBytes, startedAt, isRunning }: PaceProps) {
  const nowMs = useNow();
  const rate = useRate(executedCount(counts), startedAt === null ? null : Date.parse(startedAt), nowMs);
  const isOnItsWay = isRunning && rate !== undefined && openCount(counts) > 0;
  const end = isOnItsWay ? endAtMs(openCount(counts), rate, nowMs) : undefined;
  return (
    <Text size="sm" c="dimmed">
      {endedCount(counts).toLocaleString()} of {counts.total.toLocaleString()} devices have ended ·{" "}
      {sizeText(deliveredBytes)} delivered
      {isOnItsWay && ` · ${rate.toFixed(rate < 10 ? 1 : 0)} devices a minute`}
      {end !== undefined && (
        <>
          {" · "}at that rate the last one ends about <Moment at={new Date(end).toISOString()} />
        </>
      )}
    </Text>
  );
}

function useRate(count: number, startedAtMs: number | null, nowMs: number): number | undefined {
  const now: Sample = { atMs: nowMs, endedCount: count };
  const [samples, setSamples] = useState<readonly Sample[]>([now]);
  useEffect(() => setSamples((known) => withSample(known, { atMs: nowMs, endedCount: count })), [count, nowMs]);
  return ratePerMinute(samples, now, startedAtMs);
}
