/** Whoever signs in elsewhere comes back to the overview; here it is kept where they were going. */
import { readStored, writeStored } from "../parts/stored.ts";

const KEY = "return";
/** A sign-in that takes longer was given up. */
const LONGEST_MS = 600_000;

interface Place {
  readonly path: string;
  readonly atMs: number;
}

export const rememberPlace = (): void =>
  writeStored(KEY, { path: `${location.pathname}${location.search}`, atMs: Date.now() } satisfies Place);

/** The place, once; undefined when nobody was on the way. */
export function takePlace(): string | undefined {
  const place = readStored<Place | undefined>(KEY, undefined);
  writeStored(KEY, undefined);
  return place !== undefined && Date.now() - place.atMs < LONGEST_MS ? place.path : undefined;
}
