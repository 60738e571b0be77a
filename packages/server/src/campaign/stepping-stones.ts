/** Which image a device gets next when it cannot take the campaign's directly. */
import { compareVersions } from "@airlift/protocol/image/version";

/** From `atLeast` (included) to `below` (not included); an absent bound is open. */
export interface VersionRange {
  readonly atLeast?: string | undefined;
  readonly below?: string | undefined;
}

/** An image as the rules see it. */
export interface PolicyImage {
  readonly id: string;
  readonly manufacturer: string;
  readonly model: string;
  readonly version: string;
  /** Hardware revisions it runs on; empty = any. */
  readonly hardware: readonly string[];
  readonly sizeBytes: number;
  /** Versions it can be installed over; empty = any. */
  readonly from: readonly VersionRange[];
}

/** Whether an image can be installed over a version; a version that is not known is let through, the device decides. */
export function canInstallOver(image: PolicyImage, version: string | null): boolean {
  if (image.from.length === 0 || version === null) return true;
  return image.from.some(
    ({ atLeast, below }) =>
      (atLeast === undefined || compareVersions(version, atLeast) >= 0) &&
      (below === undefined || compareVersions(version, below) < 0),
  );
}

/** The images that lead to a campaign's own. */
export interface Route {
  readonly stones: readonly PolicyImage[];
  readonly image: PolicyImage;
  /** A step may go down. */
  readonly allowsDowngrade: boolean;
}

/** The shortest chain of images from a version to the campaign's, that one included; undefined when there is none. */
export function chainFrom(
  version: string | null,
  { stones, image: last, allowsDowngrade }: Route,
): readonly PolicyImage[] | undefined {
  const isStep = (stone: PolicyImage, reached: string | null): boolean =>
    canInstallOver(stone, reached) &&
    (allowsDowngrade || reached === null || compareVersions(stone.version, reached) >= 0);
  if (canInstallOver(last, version)) return [last];
  const queue: { readonly version: string | null; readonly chain: readonly PolicyImage[] }[] = [{ version, chain: [] }];
  const seen = new Set<string>();
  for (const { version: reached, chain } of queue) {
    if (canInstallOver(last, reached)) return [...chain, last];
    for (const stone of stones) {
      if (seen.has(stone.id) || !isStep(stone, reached)) continue;
      seen.add(stone.id);
      queue.push({ version: stone.version, chain: [...chain, stone] });
    }
  }
  return undefined;
}

/** What is wrong with the stones by themselves: those from which the last image is never reached, round in a circle or at an end. */
export function stoneProblems(route: Route): string[] {
  const { stones, image: last } = route;
  return stones
    .filter((stone) => chainFrom(stone.version, route) === undefined)
    .map((stone) => {
      const next = stones.filter((other) => other !== stone && canInstallOver(other, stone.version));
      return next.length > 0
        ? `stepping stone ${stone.version} leads only round to ${next.map((one) => one.version).join(", ")}, never to ${last.version}`
        : `stepping stone ${stone.version} leads nowhere: nothing can be installed over it`;
    });
}
