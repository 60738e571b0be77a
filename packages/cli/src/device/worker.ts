/** One run of a device, from its start to its restart or end. */
import { join } from "node:path";
import { createUpdateAgent } from "@airlift/device/agent";
import { createCredentialFile } from "@airlift/device/node/credential-file";
import { createSlots } from "@airlift/device/node/slots";
import { createZstdDecoder } from "@airlift/device/node/zstd-decoder";
import { DEFAULT_TRANSMISSION } from "@airlift/protocol/coap/transmission";
import type { ImageFile } from "@airlift/protocol/image/reader";
import type { DeviceOptions } from "./device-options.ts";
import { createReport } from "./device-report.ts";
import { REBOOT_EXIT_CODE } from "./supervisor.ts";

/** Runs until Ctrl-C or a restart; the exit code. */
export async function runDevice(options: DeviceOptions): Promise<number> {
  const report = createReport(options.endpoint, options.json);
  const slots = createSlots({
    directory: options.slots,
    trust: options.trust,
    factoryVersion: options.version,
    describe: describeRawImage,
    decoders: [createZstdDecoder()],
  });
  const { slot, outcome } = await slots.boot();
  const version = slots.version();
  report({ kind: "started", version, slot, outcome });
  const { promise: ended, resolve: end } = Promise.withResolvers<"restart" | "stop">();
  const agent = createUpdateAgent({
    endpoint: options.endpoint,
    ...serverOf(options),
    slots,
    identity: {
      manufacturer: options.manufacturer,
      model: options.model,
      serialNumber: options.endpoint,
      firmwareVersion: version,
    },
    lifetimeS: options.lifetimeS,
    lwm2mVersion: options.lwm2mVersion,
    queueMode: options.queueMode,
    methods: options.methods,
    pullSchemes: options.pullSchemes,
    transmission: { ...DEFAULT_TRANSMISSION, ackTimeoutMs: options.ackTimeoutMs },
    reboot: () => end("restart"),
    ...(options.blockBytes !== undefined && { blockBytes: options.blockBytes }),
    ...(options.loss > 0 && { loss: () => Math.random() < options.loss }),
    onEvent: report,
  });
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => end("stop"));
  await agent.start();
  const why = await ended;
  await agent.close({ saysGoodbye: why === "stop" });
  return why === "restart" ? REBOOT_EXIT_CODE : 0;
}

/** The server, or the bootstrap server with a place for what it gives beside the slots. */
function serverOf({ server, isBootstrapped, credentials, slots }: DeviceOptions) {
  const named = { server, ...(credentials && { credentials }) };
  return isBootstrapped ? { bootstrap: { ...named, store: createCredentialFile(join(slots, "credentials")) } } : named;
}

/** A line such as `version=1.2.3` in the first octets of a file that has no format of its own. */
export async function describeRawImage({ reader, sizeBytes }: ImageFile): Promise<{ version?: string }> {
  const head = await reader.read(0, Math.min(sizeBytes, 4_096));
  const found = /\bversion[=: ]"?([0-9][0-9A-Za-z.+-]{0,63})/i.exec(Buffer.from(head).toString("latin1"));
  return found?.[1] === undefined ? {} : { version: found[1] };
}
