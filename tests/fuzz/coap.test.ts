import { test } from "node:test";
import { toHex } from "@airlift/protocol/lib/bytes";
import { seeded } from "@airlift/sim/world";
import { mutate } from "./mutate.ts";
import { coapBlockwise, coapEndpoint, coapMessage } from "./targets/coap.ts";
import { coapTcpEndpoint, coapTcpMessage } from "./targets/coap-tcp.ts";

for (const target of [coapMessage, coapEndpoint, coapBlockwise, coapTcpMessage, coapTcpEndpoint]) {
  test(`fuzz ${target.name}: 3000 mutated inputs`, () => {
    const random = seeded(1);
    for (let i = 0; i < 3_000; i += 1) {
      const bytes = mutate(target.corpus, random);
      try {
        target.run(bytes);
      } catch (cause) {
        throw new Error(`seed 1, input ${i}: ${toHex(bytes)}`, { cause });
      }
    }
  });
}
