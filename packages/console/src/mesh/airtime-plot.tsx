/** Airtime used in the sliding window, over the last hour, against what the law leaves. */
import "uplot/dist/uPlot.min.css";
import type { AirtimeSeries } from "@airlift/protocol/api/mesh";
import { Text, useComputedColorScheme } from "@mantine/core";
import { useEffect, useRef } from "react";
import UPlot from "uplot";
import { bandText } from "../parts/amounts.ts";
import { lineOf, type TimeWindow, windowOf } from "./airtime-line.ts";

const HEIGHT_PX = 140;
const HIDDEN = { show: false } as const;

export function AirtimePlot({ band, budgetMs, windowMs, points }: AirtimeSeries["items"][number]) {
  const place = useRef<HTMLDivElement>(null);
  const scheme = useComputedColorScheme("light");
  const usedMs = points.at(-1)?.usedMs ?? 0;
  // More than fits into the window is how a link without a limit says so.
  const isLimited = budgetMs < windowMs;
  useEffect(() => {
    const element = place.current;
    if (element === null || points.length === 0) return;
    const { timesS, usedS } = lineOf(points, windowMs);
    const data: UPlot.AlignedData = [timesS, usedS, timesS.map(() => budgetMs / 1000)];
    const plot = new UPlot(
      optionsOf(element.clientWidth, windowOf(points, windowMs), { scheme, isLimited }),
      data,
      element,
    );
    const watcher = new ResizeObserver(() => plot.setSize({ width: element.clientWidth, height: HEIGHT_PX }));
    watcher.observe(element);
    return () => {
      watcher.disconnect();
      plot.destroy();
    };
  }, [points, budgetMs, windowMs, scheme, isLimited]);
  return (
    <div>
      <Text size="sm">
        {bandText(band)}: {(usedMs / 1000).toFixed(1)} s{isLimited && ` of ${(budgetMs / 1000).toFixed(1)} s`} used in
        the last {windowMs / 60_000} min{!isLimited && ", without a limit"}
      </Text>
      {isLimited && (
        <meter
          min={0}
          max={budgetMs}
          value={usedMs}
          high={budgetMs * 0.9}
          aria-label={`airtime used in ${bandText(band)}`}
        />
      )}
      <div
        ref={place}
        className="plot-small"
        role="img"
        aria-label={`Airtime of ${bandText(band)} over the last hour`}
      />
    </div>
  );
}

interface Look {
  readonly scheme: "light" | "dark";
  readonly isLimited: boolean;
}

function optionsOf(width: number, window: TimeWindow, { scheme, isLimited }: Look): UPlot.Options {
  const ink = scheme === "dark" ? "#c9c9c9" : "#495057";
  const grid = { stroke: scheme === "dark" ? "#424242" : "#dee2e6", width: 1 };
  return {
    width,
    height: HEIGHT_PX,
    legend: { show: false },
    scales: {
      // Of one point alone uPlot makes a time of its own.
      x: { range: () => [window.fromS, window.toS] },
      y: { range: (_, __, most) => [0, Math.max(1, most * 1.05)] },
    },
    axes: [
      { stroke: ink, grid },
      { stroke: ink, grid, size: 60, values: (_, ticks) => ticks.map((tick) => `${tick} s`) },
    ],
    series: [
      {},
      { label: "used", stroke: scheme === "dark" ? "#74c0fc" : "#1971c2", width: 2, fill: "rgb(25 113 194 / 15%)" },
      {
        label: "allowed",
        show: isLimited,
        stroke: scheme === "dark" ? "#faa2c1" : "#c2255c",
        width: 1,
        dash: [4, 4],
        points: HIDDEN,
      },
    ],
  };
}
