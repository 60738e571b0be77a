/** How many devices still miss how many packets. */
import type { BroadcastSection } from "@airlift/protocol/api/mesh";

const BINS = [
  ["none", "nothing missing"],
  ["to4", "1 … 4 packets"],
  ["to16", "5 … 16"],
  ["to64", "17 … 64"],
  ["more", "more"],
  ["unheard", "not heard yet"],
] as const;

export function DeficitHistogram({ deficits }: Pick<BroadcastSection, "deficits">) {
  const most = Math.max(1, ...Object.values(deficits));
  return (
    <ul className="bars" aria-label="Devices by packets they still miss">
      {BINS.map(([bin, name]) => (
        <li key={bin}>
          <span>{name}</span>
          <meter min={0} max={most} value={deficits[bin]} aria-label={`${name}: ${deficits[bin]} devices`} />
          <span>{deficits[bin].toLocaleString()}</span>
        </li>
      ))}
    </ul>
  );
}
