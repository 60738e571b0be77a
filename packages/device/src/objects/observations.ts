/** Which observation is to be notified when: one notifier for each, and one wake-up for all. */
import type { Core } from "@airlift/protocol/lib/core";
import { Deadlines } from "@airlift/protocol/lib/deadlines";
import type { NotificationAttributes } from "@airlift/protocol/lwm2m/attributes";
import { Notifier, type NotifierInput } from "@airlift/protocol/lwm2m/notify";
import type { ResourceValue } from "@airlift/protocol/lwm2m/value";

export type ObservationsInput =
  | {
      readonly kind: "observe";
      readonly observation: number;
      readonly attributes: NotificationAttributes;
      readonly value: ResourceValue;
    }
  /** The value is this now, changed or not. */
  | { readonly kind: "value"; readonly observation: number; readonly value: ResourceValue }
  | { readonly kind: "attributes"; readonly observation: number; readonly attributes: NotificationAttributes }
  | { readonly kind: "end"; readonly observation: number }
  | { readonly kind: "wake" };

export interface ObservationsOutput {
  readonly kind: "notify";
  readonly observation: number;
}

export class Observations implements Core<ObservationsInput, ObservationsOutput> {
  readonly #notifiers = new Map<number, Notifier>();
  readonly #deadlines = new Deadlines<number>();

  get wakeAtMs(): number | undefined {
    return this.#deadlines.earliestMs;
  }

  step(input: ObservationsInput, nowMs: number): ObservationsOutput[] {
    switch (input.kind) {
      case "observe":
        this.#notifiers.set(input.observation, new Notifier(input.attributes, input.value, nowMs));
        return this.#feed(input.observation, { kind: "wake" }, nowMs);
      case "value":
      case "attributes":
        return this.#feed(input.observation, input, nowMs);
      case "end":
        this.#notifiers.delete(input.observation);
        this.#deadlines.delete(input.observation);
        return [];
      case "wake":
        return this.#wake(nowMs);
    }
  }

  #wake(nowMs: number): ObservationsOutput[] {
    const outputs: ObservationsOutput[] = [];
    for (;;) {
      const due = this.#deadlines.popDue(nowMs);
      if (due === undefined) return outputs;
      outputs.push(...this.#feed(due, { kind: "wake" }, nowMs));
    }
  }

  #feed(observation: number, input: NotifierInput, nowMs: number): ObservationsOutput[] {
    const notifier = this.#notifiers.get(observation);
    if (notifier === undefined) return [];
    const isDue = notifier.step(input, nowMs).length > 0;
    if (notifier.wakeAtMs === undefined) this.#deadlines.delete(observation);
    else this.#deadlines.set(observation, notifier.wakeAtMs);
    return isDue ? [{ kind: "notify", observation }] : [];
  }
}
