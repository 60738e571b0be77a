/** `airlift serve`: the server, until it is told to stop. */
import { type ConfigSources, loadConfig } from "@airlift/server/config";
import { startServer } from "@airlift/server/main";
import { type Command, Option } from "commander";
import { pino } from "pino";
import { printResult } from "../terminal.ts";

interface ServeFlags {
  readonly auth: boolean;
  readonly data?: string;
  readonly trust?: string[];
  readonly logLevel: string;
  readonly [flag: string]: unknown;
}

const LOG_LEVELS = ["debug", "info", "warn", "error", "silent"];

export function registerServe(program: Command): void {
  program
    .command("serve")
    .description("run the server: LwM2M over CoAP, the REST API and the console")
    .option("--config <file>", "settings as JSON; flags and AIRLIFT_… variables go before it")
    .option("--data <dir>", "folder of the images and the embedded database (default: .airlift)")
    .option("--host <address>", "address for CoAP (default: 0.0.0.0)")
    .option("--http-host <address>", "address for HTTP (default: 127.0.0.1)")
    .option("--coap-port <port>", "UDP port of CoAP (default: 5683)")
    .option("--http-port <port>", "TCP port of HTTP (default: 8080)")
    .option("--database-url <url>", "PostgreSQL to use instead of the embedded one")
    .option("--public-host <name>", "host that devices fetch images from (default: the address they reach)")
    .option("--trust <file...>", "public keys (PEM); images signed by them are shown as verified")
    .option("--max-image-bytes <bytes>", "largest image accepted")
    .option("--no-auth", "serve the API without tokens, to this machine only")
    .addOption(
      new Option("--log-level <level>", "what to log on stderr")
        .choices(LOG_LEVELS)
        .default("info")
        .env("AIRLIFT_LOG_LEVEL"),
    )
    .action(async (flags: ServeFlags, command: Command) => {
      const config = loadConfig({ flags: settingsOf(flags), environment: process.env });
      const log = pino({ level: flags.logLevel }, pino.destination({ dest: 2, sync: true }));
      const stopped = untilStopped();
      const server = await startServer(config, log);
      const { httpUrl, coapPort } = server;
      const host = config.host.includes(":") ? `[${config.host.replace(/^\[|\]$/g, "")}]` : config.host;
      const coapUrl = `coap://${host}:${coapPort}`;
      printResult(command, { httpUrl, coapUrl }, () => `serving at ${httpUrl} and ${coapUrl}\n`);
      await stopped;
      await server.close();
    });
}

/** The flags by the names of the settings. */
function settingsOf({ auth, data, trust, logLevel: _, ...others }: ServeFlags): ConfigSources["flags"] {
  return {
    ...others,
    ...(data !== undefined && { dataDir: data }),
    ...(trust !== undefined && { trustedKeyFiles: trust }),
    ...(!auth && { noAuth: true }),
  };
}

/** Resolves with the first request to stop; a second one ends the process at once. */
function untilStopped(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve());
  });
}
