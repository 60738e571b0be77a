/** What devices tell, by whatever way: the last values of each, and an event for those who listen. */

import type { DeviceValue, LastValue, ReadAnswer } from "@airlift/protocol/api/operations";
import { formatCode } from "@airlift/protocol/coap/codes";
import type { CoapResponse } from "@airlift/protocol/coap/exchange";
import { countText } from "@airlift/protocol/lib/count-text";
import type { Entry } from "@airlift/protocol/lwm2m/entry";
import type { Models } from "@airlift/protocol/lwm2m/model";
import { formatPath, type Path, ROOT } from "@airlift/protocol/lwm2m/path";
import type { Logger } from "pino";
import { LastValues } from "../fleet/last-values.ts";
import type { EventStore } from "../store/ports.ts";
import type { Remarks } from "../store/remarks.ts";
import type { KeptObservation } from "./observation-table.ts";
import { entriesOfAnswer, formatOfAnswer } from "./operation-exchange.ts";
import { toDeviceValue, toLastValues } from "./value-report.ts";

export interface ToldValuesOptions {
  readonly models: Models;
  readonly events: Pick<EventStore, "publish">;
  readonly remarks: Pick<Remarks, "put">;
  readonly log: Logger;
}

/** An observation, as far as its notifications are read by it. */
interface NotifiedFrom {
  readonly endpoint: string;
  readonly observationId: string;
  readonly paths: readonly Path[];
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

  /** The answer to a Read, or the first one to an Observe; of one path, or of several from the root. @throws {PeerError} DEVICE_ANSWER */
  answer(endpoint: string, response: CoapResponse, paths: readonly Path[]): ReadAnswer {
    const values = this.#valuesOf(entriesOfAnswer(response, baseOf(paths), this.#options.models));
    this.#keep(endpoint, values, "read");
    return { code: formatCode(response.code), format: formatOfAnswer(response), values };
  }

  /** @throws {PeerError} DEVICE_ANSWER */
  notified({ endpoint, observationId, paths }: NotifiedFrom, response: CoapResponse): void {
    const entries = entriesOfAnswer(response, baseOf(paths), this.#options.models);
    this.#publish({ endpoint, by: "notify", observationId }, entries);
  }

  /** By a Send. */
  sent(endpoint: string, entries: readonly Entry[]): void {
    this.#publish({ endpoint, by: "send", observationId: null }, entries);
  }

  /** An observation was ended because the device notified too much for too long. */
  flooded({ endpoint, id, paths }: KeptObservation, droppedCount: number): void {
    const { remarks, log } = this.#options;
    const where = paths.map(formatPath).join(", ");
    const sentence = `the observation of ${where} was ended: ${countText(droppedCount, "notification")} came too fast`;
    log.warn({ endpoint, paths: where, droppedCount }, "a device floods; its observation was ended");
    remarks.put({ kind: "device.flood", endpoint, sentence, facts: { observationId: id, paths: where, droppedCount } });
  }

  /** Values that came unasked: kept, and told to those who listen. */
  #publish(from: { endpoint: string; by: LastValue["by"]; observationId: string | null }, entries: readonly Entry[]) {
    const { endpoint, by, observationId } = from;
    const values = this.#valuesOf(entries);
    this.#keep(endpoint, values, by);
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

  #valuesOf(entries: readonly Entry[]): DeviceValue[] {
    return entries.map((entry) => toDeviceValue(entry, this.#options.models, Date.now()));
  }

  #keep(endpoint: string, values: readonly DeviceValue[], by: LastValue["by"]): void {
    this.#values.keep(endpoint, toLastValues(values, by, Date.now()));
  }
}

/** One path is asked for by itself, several from the root. */
const baseOf = (paths: readonly Path[]): Path => (paths.length === 1 ? (paths[0] ?? ROOT) : ROOT);
