/** Devices by version over the days. A day on which nobody counted is a gap. */
import "uplot/dist/uPlot.min.css";
import type { VersionDay } from "@airlift/protocol/api/statistics";
import { useComputedColorScheme } from "@mantine/core";
import { useEffect, useRef } from "react";
import UPlot from "uplot";
import { Scrolls } from "../parts/scrolls.tsx";

const COLOURS = {
  light: ["#1971c2", "#099268", "#e8590c", "#9c36b5", "#c2255c", "#5c940d"],
  dark: ["#74c0fc", "#63e6be", "#ffa94d", "#e599f7", "#faa2c1", "#c0eb75"],
} as const;
const DAY_S = 86_400;
const HEIGHT_PX = 220;

export interface VersionsPlotProps {
  readonly days: readonly VersionDay[];
  readonly versions: readonly string[];
}

export function VersionsPlot({ days, versions }: VersionsPlotProps) {
  const place = useRef<HTMLDivElement>(null);
  const scheme = useComputedColorScheme("light");
  useEffect(() => {
    const element = place.current;
    if (element === null) return;
    const plot = new UPlot(optionsOf(element.clientWidth, versions, scheme), dataOf(days, versions), element);
    const watcher = new ResizeObserver(() => plot.setSize({ width: element.clientWidth, height: HEIGHT_PX }));
    watcher.observe(element);
    return () => {
      watcher.disconnect();
      plot.destroy();
    };
  }, [days, versions, scheme]);
  return (
    <>
      <div
        ref={place}
        className="plot"
        role="img"
        aria-label="Devices by version over the days; the table below has the numbers"
      />
      <DayTable days={days} versions={versions} />
    </>
  );
}

/** Every day from the first to the last, with nothing where no count is. */
function dataOf(days: readonly VersionDay[], versions: readonly string[]): UPlot.AlignedData {
  const byDay = new Map(days.map((day) => [Date.parse(day.day) / 1000, day]));
  const [first = 0, last = 0] = [Math.min(...byDay.keys()), Math.max(...byDay.keys())];
  const instants = Array.from({ length: (last - first) / DAY_S + 1 }, (_, index) => first + index * DAY_S);
  const lines = versions.map((version) =>
    instants.map((at) => {
      const day = byDay.get(at);
      return day === undefined ? null : (day.counts[version] ?? 0);
    }),
  );
  return [instants, ...lines];
}

function optionsOf(width: number, versions: readonly string[], scheme: "light" | "dark"): UPlot.Options {
  const ink = scheme === "dark" ? "#c9c9c9" : "#495057";
  const grid = { stroke: scheme === "dark" ? "#424242" : "#dee2e6", width: 1 };
  return {
    width,
    height: HEIGHT_PX,
    // The days are UTC's, and are named so.
    tzDate: (at) => UPlot.tzDate(new Date(at * 1000), "UTC"),
    scales: { y: { range: (_, __, most) => [0, Math.max(1, most * 1.05)] } },
    axes: [
      { stroke: ink, grid, values: "{YYYY}-{MM}-{DD}", space: 90 },
      { stroke: ink, grid, size: 60 },
    ],
    series: [
      { label: "day", value: "{YYYY}-{MM}-{DD}" },
      ...versions.map((label, index) => ({
        label,
        stroke: COLOURS[scheme][index % COLOURS[scheme].length] ?? ink,
        width: 2,
        points: { show: true, size: 5 },
      })),
    ],
  };
}

function DayTable({ days, versions }: VersionsPlotProps) {
  return (
    <details>
      <summary>The numbers</summary>
      <Scrolls label="Devices by version and day">
        <table className="plain">
          <thead>
            <tr>
              <th scope="col">Day (UTC)</th>
              {versions.map((version) => (
                <th key={version} scope="col">
                  {version}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {days.toReversed().map((day) => (
              <tr key={day.day}>
                <th scope="row">{day.day}</th>
                {versions.map((version) => (
                  <td key={version}>{(day.counts[version] ?? 0).toLocaleString()}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </Scrolls>
    </details>
  );
}
