/** What of a device an update replaces: its firmware, one of its components, or one of its packages. */
import { UsageError } from "../lib/errors.ts";

/** `firmware` is object 5; `component` an instance of object 33629, `software` one of object 9. */
export type UpdateTarget =
  | { readonly kind: "firmware" }
  | { readonly kind: "component" | "software"; readonly instance: number };

/** The texts that name a target: "firmware", "component:1", "software:0". */
export const UPDATE_TARGET_PATTERN = /^(?:firmware|(component|software):(0|[1-9]\d{0,4}))$/;

/** Instance 65535 is none (LwM2M 1.2 §7.2). */
const LAST_INSTANCE = 65_534;

/** @throws {UsageError} TARGET when the text names no target. */
export function parseUpdateTarget(text: string): UpdateTarget {
  const found = UPDATE_TARGET_PATTERN.exec(text);
  const [, kind, digits] = found ?? [];
  const instance = Number(digits ?? 0);
  if (found === null || instance > LAST_INSTANCE)
    throw new UsageError("TARGET", "a target is firmware, component:N or software:N", { target: text });
  return kind === "component" || kind === "software" ? { kind, instance } : { kind: "firmware" };
}
