import assert from "node:assert/strict";
import { test } from "node:test";
import { CODE } from "@airlift/protocol/coap/codes";
import { type CoapResponse, createResponse } from "@airlift/protocol/coap/exchange";
import { OPTION, uintOption } from "@airlift/protocol/coap/options";
import { encodeUtf8 } from "@airlift/protocol/lib/bytes";
import { CONTENT_FORMATS } from "@airlift/protocol/lwm2m/content-formats";
import { STANDARD_MODELS } from "@airlift/protocol/lwm2m/objects/standard";
import type { Observation } from "@airlift/runtime/coap";
import { pino } from "pino";
import type { ObservationStore, RecordedObservation } from "../store/observation-store.ts";
import type { NewEvent } from "../store/ports.ts";
import { exampleRegistration } from "../store/scratch-stores.ts";
import type { DeviceRequests } from "./device-requests.ts";
import { DeviceOperations } from "./operations.ts";

const value = createResponse(CODE.content, encodeUtf8("50"), [uintOption(OPTION.contentFormat, CONTENT_FORMATS.text)]);

/** A device that notifies as it is told, and a record whose next removal takes until `goOn`. */
function stage() {
  const onRecord = new Map<string, RecordedObservation>();
  const remarks: NewEvent[] = [];
  let notify: ((response: CoapResponse) => void) | undefined;
  const removing = Promise.withResolvers<void>();
  const told = Promise.withResolvers<void>();
  let cancelCount = 0;
  const requests = {
    observe: async (_: unknown, __: unknown, onNotification: (response: CoapResponse) => void) => {
      notify = onNotification;
      const cancel = async (): Promise<void> => {
        notify = undefined;
        cancelCount += 1;
      };
      return { response: value, isActive: true, cancel } satisfies Observation;
    },
  } as unknown as DeviceRequests;
  const store = {
    add: async (one: RecordedObservation) => void onRecord.set(one.id, one),
    of: async () => [...onRecord.values()],
    remove: async (_: string, id: string) => {
      await removing.promise;
      return onRecord.delete(id);
    },
  } as unknown as ObservationStore;
  const put = (event: NewEvent): void => {
    remarks.push(event);
    told.resolve();
  };
  const operations = new DeviceOperations({
    requests,
    store,
    models: STANDARD_MODELS,
    events: { publish: () => {} },
    remarks: { put },
    devices: { registrationOf: async () => undefined },
    log: pino({ level: "silent" }),
    flood: { perSecond: 0.001, burst: 1, toleranceMs: 0 },
    registrationOf: exampleRegistration,
  });
  const flood = (): void => {
    for (let count = 0; count < 3; count += 1) notify?.(value);
  };
  return { operations, remarks, flood, goOn: removing.resolve, isTold: told.promise, cancelled: () => cancelCount };
}

test("an observation that floods while its device comes anew is gone for good, and told of once", async () => {
  const { operations, remarks, flood, goOn, isTold, cancelled } = stage();
  const { observation } = await operations.observe({ endpoint: "a", timeoutMs: 60_000 }, ["/3/0/9"]);
  flood();
  await operations.observations.onArrived(["a"]);
  goOn();
  await isTold;
  assert.deepEqual([await operations.observationsOf("a"), operations.observations.table.of("a")], [[], []]);
  assert.deepEqual(
    remarks.map(({ kind, facts }) => [kind, facts?.["observationId"]]),
    [["device.flood", observation.id]],
  );
  assert.equal(cancelled(), 2);
});
