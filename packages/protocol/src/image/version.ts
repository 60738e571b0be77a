/** Versions of firmware: MCUboot's four numbers, and the text that manufacturers write. */
import { UsageError } from "../lib/errors.ts";

/** `major.minor.revision+build`; major and minor 0 … 255, revision 0 … 65535, build 0 … 2³² − 1. */
export interface McubootVersion {
  readonly major: number;
  readonly minor: number;
  readonly revision: number;
  readonly build: number;
}

/**
 * Reads `major[.minor[.revision]][+build]`; what is absent is 0.
 *
 * @throws {UsageError} `VERSION_FORMAT` when the text has another form or a number is out of its range.
 */
export function parseMcubootVersion(text: string): McubootVersion {
  const parts = /^(\d{1,3})(?:\.(\d{1,3}))?(?:\.(\d{1,5}))?(?:\+(\d{1,10}))?$/.exec(text);
  const [major = 0, minor = 0, revision = 0, build = 0] = (parts ?? []).slice(1).map((part) => Number(part ?? 0));
  if (!parts || major > 0xff || minor > 0xff || revision > 0xffff || build > 0xffff_ffff) {
    throw new UsageError("VERSION_FORMAT", "an MCUboot version is major.minor.revision+build", { version: text });
  }
  return { major, minor, revision, build };
}

/** `1.2.3`, or `1.2.3+4` when there is a build number. */
export function formatMcubootVersion(version: McubootVersion): string {
  const text = `${version.major}.${version.minor}.${version.revision}`;
  return version.build === 0 ? text : `${text}+${version.build}`;
}

/** Negative, zero or positive, as `a` is lower than, the same as or higher than `b`. The build number counts last. */
export function compareMcubootVersions(a: McubootVersion, b: McubootVersion): number {
  return a.major - b.major || a.minor - b.minor || a.revision - b.revision || a.build - b.build;
}

/**
 * Compares version texts the way people mean them: −1, 0 or 1.
 *
 * Numbers count as numbers (1.1.10 > 1.1.9), an absent part is 0 (1.2 = 1.2.0), a pre-release after `-` is lower than the
 * release (2.0.0-rc.1 < 2.0.0) and is compared by the rules of Semantic Versioning §11, a build after `+` decides last.
 * A leading `v` says nothing. Letters glued to a number come after it (1.0.2 < 1.0.2a < 1.0.2b).
 */
export function compareVersions(a: string, b: string): number {
  const left = split(a);
  const right = split(b);
  return (
    compareParts(left.release, right.release) ||
    comparePreRelease(left.preRelease, right.preRelease) ||
    compareParts(left.build, right.build)
  );
}

interface VersionParts {
  readonly release: readonly string[];
  readonly preRelease: readonly string[] | undefined;
  readonly build: readonly string[];
}

function split(text: string): VersionParts {
  const [, release = "", preRelease, build] = /^[vV]?([^-+]*)(?:-([^+]*))?(?:\+([\s\S]*))?$/.exec(text.trim()) ?? [];
  return { release: runs(release), preRelease: preRelease?.split("."), build: runs(build ?? "") };
}

/** `1.10b` → `1`, `10`, `b`: runs of digits and runs of letters; everything else separates. */
function runs(text: string): string[] {
  return text.match(/\d+|[^\d.\-_+\s]+/g) ?? [];
}

/** Place by place; the shorter list goes on with zeros. */
function compareParts(a: readonly string[], b: readonly string[]): number {
  for (let i = 0; i < Math.max(a.length, b.length); i += 1) {
    const order = compareIdentifiers(a[i] ?? "0", b[i] ?? "0");
    if (order !== 0) return order;
  }
  return 0;
}

/** No pre-release is higher than any; of two that agree as far as they go, the longer is higher. */
function comparePreRelease(a: readonly string[] | undefined, b: readonly string[] | undefined): number {
  if (!a || !b) return Number(b !== undefined) - Number(a !== undefined);
  for (let i = 0; i < Math.min(a.length, b.length); i += 1) {
    const order = compareIdentifiers(a[i] ?? "", b[i] ?? "");
    if (order !== 0) return order;
  }
  return Math.sign(a.length - b.length);
}

/** Numbers by value, texts by code units, a number below any text. */
function compareIdentifiers(a: string, b: string): number {
  const aIsNumber = /^\d+$/.test(a);
  const bIsNumber = /^\d+$/.test(b);
  if (aIsNumber !== bIsNumber) return aIsNumber ? -1 : 1;
  if (!aIsNumber) return compareText(a, b);
  const left = a.replace(/^0+/, "");
  const right = b.replace(/^0+/, "");
  return Math.sign(left.length - right.length) || compareText(left, right);
}

function compareText(a: string, b: string): number {
  return a === b ? 0 : a < b ? -1 : 1;
}
