/** What devices tell, by whatever way: the last values of each, and an event for those who listen. */
import type { LastValue, ReadAnswer } from "@airlift/protocol/api/operations";
import type { Entry } from "@airlift/protocol/lwm2m/entry";
import type { Models } from "@airlift/protocol/lwm2m/model";
import { formatPath } from "@airlift/protocol/lwm2m/path";
import type { Logger } from "pino";
import { LastValues } from "../fleet/last-values.ts";
import type { EventStore } from "../store/ports.ts";
import type { KeptObservation } from "./observation-table.ts";
import { toDeviceValue, toLastValues } from "./value-report.ts";

export interface ToldValuesOptions {
  readonly models: Models;
  readonly events: EventStore;
  readonly log: Logger;
}

export class ToldValues {
  readonly #options: ToldValuesOptions;
  readonly #values = new LastValues<LastValue>();

  constructor(options: ToldValuesOptions) {
    this.#options = options;
  }

  of(endpoint: string): LastValue[] {
    return this.#values.of(endpoint);
  }

  /** Values that came unasked: kept, and told to those who listen. */
  publish(from: { endpoint: string; by: LastValue["by"]; observationId: string | null }, entries: readonly Entry[]) {
    const { endpoint, by, observationId } = from;
    const values = entries.map((entry) => toDeviceValue(entry, this.#options.models, Date.now()));
    this.keep(endpoint, values, by);
    const [first] = values;
    const more = values.length > 1 ? ` and ${values.length - 1} more` : "";
    const sentence = first === undefined ? "the device told no value" : `${first.path} is ${first.value}${more}`;
    const facts = { by, observationId, values };
    this.#options.events.publish({
      kind: "device.value",
      endpoint,
      updateId: null,
      campaignId: null,
      sentence: sentence.slice(0, 500),
      facts,
    });
  }

  keep(endpoint: string, values: ReadAnswer["values"], by: LastValue["by"]): void {
    this.#values.keep(endpoint, toLastValues(values, by, Date.now()));
  }

  /** An observation was ended because the device notified too much for too long. */
  flooded({ endpoint, id, paths }: KeptObservation, droppedCount: number): void {
    const { events, log } = this.#options;
    const where = paths.map(formatPath).join(", ");
    const sentence = `the observation of ${where} was ended: ${droppedCount} notifications came too fast`;
    log.warn({ endpoint, paths: where, droppedCount }, "a device floods; its observation was ended");
    events
      .append({ kind: "device.flood", endpoint, sentence, facts: { observationId: id, paths: where, droppedCount } })
      .catch((error) => {
        log.warn({ endpoint, err: error }, "an event could not be stored");
      });
  }
}
