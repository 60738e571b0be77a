/** How fast a campaign goes, and when it would be through: from what this page has seen of it. */
import type { Campaign } from "@airlift/protocol/api/campaign";
import { Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { imageQuery } from "../api/queries.ts";
import { useNow } from "../parts/now.ts";
import { endedCount } from "./outcome-bar.tsx";

interface Sample {
  readonly atMs: number;
  readonly ended: number;
}

/** Over so long the rate is taken. */
const WINDOW_MS = 5 * 60_000;
const SAMPLE_EVERY_MS = 5_000;

export function Pace({ campaign }: { readonly campaign: Campaign }) {
  const nowMs = useNow();
  const ended = endedCount(campaign.counts);
  const perMinute = useRate(ended, nowMs);
  const { data: image } = useQuery(imageQuery(campaign.imageId));
  const left = campaign.counts.total - ended;
  const parts = [`${ended.toLocaleString()} of ${campaign.counts.total.toLocaleString()} devices have ended`];
  if (image)
    parts.push(`${sizeText(image.sizeBytes * (campaign.counts.succeeded + campaign.counts.held))} delivered at least`);
  if (campaign.state === "running" && perMinute > 0) {
    parts.push(`${perMinute.toFixed(perMinute < 10 ? 1 : 0)} a minute lately`);
    parts.push(`the rest would take ${spanText((left / perMinute) * 60)} at that rate, soak times and windows aside`);
  }
  return (
    <Text size="sm" c="dimmed">
      {parts.join(" · ")}
    </Text>
  );
}

/** Devices a minute; 0 until something was seen. */
function useRate(ended: number, nowMs: number): number {
  const samples = useRef<Sample[]>([]);
  const [rate, setRate] = useState(0);
  useEffect(() => {
    const last = samples.current.at(-1);
    if (last !== undefined && nowMs - last.atMs < SAMPLE_EVERY_MS) return;
    samples.current = [...samples.current.filter(({ atMs }) => nowMs - atMs < WINDOW_MS), { atMs: nowMs, ended }];
    const [first] = samples.current;
    if (first === undefined || nowMs - first.atMs < SAMPLE_EVERY_MS) return;
    setRate(Math.max(0, ((ended - first.ended) * 60_000) / (nowMs - first.atMs)));
  }, [ended, nowMs]);
  return rate;
}

export function sizeText(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  const units = ["KiB", "MiB", "GiB", "TiB"];
  const power = Math.min(units.length, Math.floor(Math.log2(bytes) / 10));
  return `${(bytes / 2 ** (10 * power)).toFixed(1)} ${units[power - 1]}`;
}

export function spanText(seconds: number): string {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} days`;
}
