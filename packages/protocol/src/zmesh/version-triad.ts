/** A version as mesh devices tell it: three numbers of one octet each. Source: profile 9, the status event's `version`. */

/** Major, minor, patch; 0 … 255 each. */
export type VersionTriad = readonly [major: number, minor: number, patch: number];

/** The three numbers by which mesh devices tell a version: "1.2.3", "v1.2.3+7"; undefined for one that they cannot tell. */
export function triadOf(version: string): VersionTriad | undefined {
  const [, ...parts] = /^v?(\d{1,3})\.(\d{1,3})\.(\d{1,3})(?![.\d])/.exec(version) ?? [];
  const [major = 256, minor = 256, patch = 256] = parts.map(Number);
  return Math.max(major, minor, patch) > 255 ? undefined : [major, minor, patch];
}

/** What to tell whoever names a version that they cannot. */
export const NO_TRIAD = "mesh devices tell a version by three numbers up to 255, as in 1.2.3";
