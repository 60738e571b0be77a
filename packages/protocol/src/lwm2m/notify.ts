/** When an observed value is notified (LwM2M Core 1.2 §5.1.2, §6.4.2). Pure. */
import { equalBytes } from "../lib/bytes.ts";
import type { Core } from "../lib/core.ts";
import type { NotificationAttributes } from "./attributes.ts";
import { isObjectLink, type ResourceValue } from "./value.ts";

export type NotifierInput =
  /** The value as it is now, changed or not. */
  | { readonly kind: "value"; readonly value: ResourceValue }
  /** The attributes that apply from now on. */
  | { readonly kind: "attributes"; readonly attributes: NotificationAttributes }
  | { readonly kind: "wake" };

export interface Notification {
  readonly kind: "notify";
  readonly value: ResourceValue;
}

/**
 * One observation of one value. A change is held back until `pmin` seconds after the last notification and then sent
 * with the newest value; after `pmax` seconds the value is sent unchanged. A `pmax` below `pmin` does not count.
 */
export class Notifier implements Core<NotifierInput, Notification> {
  #attributes: NotificationAttributes;
  #current: ResourceValue;
  #notified: ResourceValue;
  #notifiedAtMs: number;
  #isDue = false;

  /** @param value What the response to the Observe request carried, at `nowMs`. */
  constructor(attributes: NotificationAttributes, value: ResourceValue, nowMs: number) {
    this.#attributes = attributes;
    this.#current = value;
    this.#notified = value;
    this.#notifiedAtMs = nowMs;
  }

  get wakeAtMs(): number | undefined {
    const { pmin = 0, pmax = 0 } = this.#attributes;
    if (this.#isDue) return this.#notifiedAtMs + 1000 * pmin;
    return pmax > 0 && pmax >= pmin ? this.#notifiedAtMs + 1000 * pmax : undefined;
  }

  step(input: NotifierInput, nowMs: number): Notification[] {
    if (input.kind === "attributes") this.#attributes = input.attributes;
    if (input.kind === "value") {
      this.#current = input.value;
      // Once due it stays due: what has to be notified in the quiet time is sent at its end.
      this.#isDue ||= isNotable(this.#attributes, this.#notified, input.value);
    }
    const { wakeAtMs } = this;
    if (wakeAtMs === undefined || nowMs < wakeAtMs) return [];
    this.#isDue = false;
    this.#notified = this.#current;
    this.#notifiedAtMs = nowMs;
    return [{ kind: "notify", value: this.#current }];
  }
}

/** Whether `value` has to be notified after `last`, time apart. */
export function isNotable(attributes: NotificationAttributes, last: ResourceValue, value: ResourceValue): boolean {
  const { gt, lt, st, edge } = attributes;
  if (typeof value === "boolean" && edge !== undefined) return value !== last && value === (edge === 1);
  if (!isNumber(value) || !isNumber(last) || (gt === undefined && lt === undefined && st === undefined))
    return !equalValues(last, value);
  const [before, now] = [Number(last), Number(value)];
  const crossesUp = gt !== undefined && before > gt !== now > gt;
  const crossesDown = lt !== undefined && before < lt !== now < lt;
  return crossesUp || crossesDown || (st !== undefined && before !== now && Math.abs(now - before) >= st);
}

function isNumber(value: ResourceValue): value is number | bigint {
  return typeof value === "number" || typeof value === "bigint";
}

/** Whether two values are the same, by content. */
export function equalValues(a: ResourceValue, b: ResourceValue): boolean {
  if (a instanceof Uint8Array && b instanceof Uint8Array) return equalBytes(a, b);
  if (isObjectLink(a) && isObjectLink(b)) return a.objectId === b.objectId && a.instanceId === b.instanceId;
  return Object.is(a, b) || a === b;
}
