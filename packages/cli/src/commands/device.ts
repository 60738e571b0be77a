/** `airlift device`: a device with two slots that keeps itself registered and takes updates. */
import type { Command } from "commander";
import { type RawDeviceOptions, readDeviceOptions } from "../device/device-options.ts";
import { dieWithSupervisor, isWorker, supervise } from "../device/supervisor.ts";
import { runDevice } from "../device/worker.ts";

export function registerDevice(program: Command): void {
  program
    .command("device")
    .description("run a device that registers, takes firmware by push and by pull, and restarts into it")
    .option("--endpoint <name>", "endpoint name, unique at the server")
    .option("--server <uri>", "coap[s][+tcp]://HOST[:PORT]")
    .option(
      "--bootstrap <uri>",
      "instead of a server: where it gets one and a key of its own; all below is its factory's",
    )
    .option("--psk-identity <text>", "who it is, for coaps with a pre-shared key")
    .option("--psk-key <hex>", "the pre-shared key; better in the environment: AIRLIFT_PSK_KEY")
    .option("--rpk-key <file>", "its private key for coaps with raw public keys, PEM")
    .option("--server-rpk <file>", "the server's raw public key, PEM")
    .option("--cert <file>", "its certificate with those that issued it, PEM")
    .option("--key <file>", "the private key of its certificate, PEM")
    .option("--ca <file>", "the authorities that may vouch for the server, PEM")
    .option("--slots <dir>", "where its two slots are (default: airlift-slots/NAME)")
    .option("--version <version>", "version of the firmware it was made with", "1.0.0")
    .option("--lifetime <seconds>", "lifetime of its registration", "300")
    .option("--lwm2m <version>", "1.0, 1.1 or 1.2", "1.1")
    .option("--queue-mode", "register as a device that sleeps")
    .option("--trust <key.pub.pem...>", "keys whose signatures count")
    .option("--allow-unsigned", "take any image that is whole")
    .option("--manufacturer <name>", "as /3/0/0 tells it", "Airlift")
    .option("--model <name>", "as /3/0/1 tells it", "virtual")
    .option("--block-size <bytes>", "largest block: 16 … 1024")
    .option("--methods <methods>", "how firmware may come: push, pull or both", "both")
    .option("--protocols <list>", "what it fetches firmware with", "coap,coaps,http,https")
    .option("--ack-timeout <ms>", "first wait for an acknowledgement, ACK_TIMEOUT of RFC 7252", "2000")
    .option("--loss <share>", "lose this share of all datagrams, to try a bad link", "0")
    .action(async (_: unknown, command: Command) => {
      process.exitCode = await run(command.optsWithGlobals<RawDeviceOptions>());
    });
}

/** @throws {UsageError} OPTIONS, a line for each mistake. */
async function run(raw: RawDeviceOptions): Promise<number> {
  const options = readDeviceOptions(raw);
  if (!isWorker()) return supervise();
  dieWithSupervisor();
  return runDevice(options);
}
