import assert from "node:assert/strict";
import { test } from "node:test";
import { pino } from "pino";
import type { Stores } from "../store/ports.ts";
import { GatewayWatch } from "./gateway-watch.ts";
import { ExampleGateway } from "./mesh-example.ts";

const BAND = "868.0-868.6";
const FOREIGN = { link: "udp", isUp: true, sentCount: 0, heardCount: 9, refusedCount: 9, healedCount: 0 };

test("what is wrong at a gateway is told once, and once more when it was well meanwhile", async () => {
  const told: string[] = [];
  const record = async ({ events = [] }: { readonly events?: readonly { readonly sentence: string }[] }) => {
    told.push(...events.map(({ sentence }) => sentence));
    return [];
  };
  const stores = { mesh: { sessions: { record } } } as unknown as Pick<Stores, "mesh">;
  const watch = new GatewayWatch({ stores, log: pino({ level: "silent" }) });
  const { state } = new ExampleGateway("mast");
  const deaf = { ...state, links: [{ ...FOREIGN, foreignCount: 9, isMostlyForeign: true }] };
  for (const one of [state, deaf, deaf, state, deaf]) await watch.look("mast", one, BAND);
  const sentence = "the gateway mast hears frames it cannot open (wrong network key?): 9 of 9 at udp";
  assert.deepEqual(told, [sentence, sentence]);
  await watch.look("mast", deaf, "865.0-868.0");
  assert.match(told.at(-1) ?? "", /^the gateway mast sends in 868.0-868.6, and broadcasts are planned for 865.0-868.0/);
  assert.equal(told.length, 3);
});
