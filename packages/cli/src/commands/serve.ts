/** `airlift serve`: the server, until it is told to stop. */
import { EnvironmentError } from "@airlift/protocol/lib/errors";
import type { ConfigSources } from "@airlift/server/config";
import { type Command, Option } from "commander";
import { pino } from "pino";
import { printResult } from "../terminal.ts";

const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "silent"];

export function registerServe(program: Command): void {
  program
    .command("serve")
    .description("run the server: LwM2M over CoAP, the REST API and the console")
    .option("--config <file>", "settings as JSON; flags and AIRLIFT_… variables go before it")
    .option("--data <dir>", "folder of the images and the embedded database (default: .airlift)")
    .option("--image-dir <dir>", "folder of the images; servers on one database share one (default: images in --data)")
    .option("--host <address...>", "addresses for CoAP; :: takes IPv4 as well (default: 0.0.0.0)")
    .option("--http-host <address>", "address for HTTP (default: 127.0.0.1)")
    .option("--coap-port <port>", "UDP port of CoAP, or off (default: 5683)")
    .option("--coaps-port <port>", "UDP port of CoAP over DTLS, or off (default: --coap-port + 1)")
    .option("--coap-tcp-port <port>", "TCP port of CoAP, or off (default: as --coap-port)")
    .option("--coaps-tcp-port <port>", "TCP port of CoAP over TLS, or off (default: --coap-tcp-port + 1)")
    .option("--plain-devices <policy>", "allow or refuse devices without any credential (default: allow)")
    .option("--awake-window <seconds>", "how long a device in queue mode listens after it was heard (default: 93)")
    .option("--peer-rate <count>", "requests a second that one device is served, or off (default: 100)")
    .option("--http-port <port>", "TCP port of HTTP (default: 8080)")
    .option("--database-url <url>", "PostgreSQL to use instead of the embedded one")
    .option(
      "--api-url <url>",
      "where other servers on the same database reach this API (default: --http-host and port)",
    )
    .option("--public-host <name>", "host that devices fetch images from (default: the address they reach)")
    .option("--trust <file...>", "public keys (PEM); images signed by them are shown as verified")
    .option("--models <dir>", "folder of object models (OMA's XML files), for devices with objects of their own")
    .option("--max-image-bytes <bytes>", "largest image accepted")
    .option("--no-auth", "serve the API without tokens, to this machine only")
    .option(
      "--tls-cert <file>",
      "certificate chain (PEM): serve https, and show it to devices; read again when it changes or on SIGHUP",
    )
    .option("--tls-key <file>", "private key of that certificate (PEM; DTLS needs ECDSA on P-256)")
    .option("--insecure-http", "serve other machines without TLS, because a proxy in front speaks https")
    .option("--trusted-proxy <address...>", "proxies whose X-Forwarded-For is believed")
    .option("--master-key-file <file>", "key that device keys are encrypted under (default: master.key in --data)")
    .option("--keep-events <time>", "how long timelines are kept: 90d, 52w, forever (default: 180d)")
    .option("--keep-event-count <count>", "how many events are kept at most (default: any number)")
    .option("--keep-updates <time>", "how long updates are kept that have ended (default: 365d)")
    .option("--keep-exchanges <time>", "how long their exchanges with the device are kept (default: 30d)")
    .option("--keep-campaign-targets <time>", "how long the devices of an ended campaign are kept (default: 365d)")
    .option("--keep-requests <time>", "how long finished requests and webhook deliveries are kept (default: 30d)")
    .option("--allow-http-webhooks", "let webhooks go to http: addresses")
    .option("--allow-private-webhooks", "let webhooks go to private addresses and to this machine")
    .option("--oidc-issuer <url>", "let people sign in at this OpenID Connect provider, besides tokens")
    .option("--oidc-client-id <id>", "what this server is called there")
    .option("--oidc-client-secret-file <file>", "file with the secret that proves it")
    .option("--oidc-role-claim <claim>", "claim with a person's roles, airlift-viewer … airlift-admin (default: roles)")
    .option("--oidc-name-claim <claim>", "claim that people are called by (default: preferred_username)")
    .option("--oidc-role <value=role...>", "a role for another value of that claim, as in fleet-team=operator")
    .addOption(
      new Option("--log-level <level>", "what to log on stderr")
        .choices(LOG_LEVELS)
        .default("info")
        .env("AIRLIFT_LOG_LEVEL"),
    )
    .action(async ({ config: file, logLevel }: { config?: string; logLevel: string }, command: Command) => {
      // A server is large: the other commands, some of them on small machines, do without.
      const [{ loadConfig, settingOfFlag }, { startServer }] = await Promise.all([
        import("@airlift/server/config"),
        import("@airlift/server/main"),
      ]);
      const config = loadConfig({
        flags: { ...settingsOf(command, settingOfFlag), config: file },
        environment: process.env,
      });
      const log = pino({ level: logLevel }, pino.destination({ dest: 2, sync: true }));
      const stopped = untilStopped();
      const server = await startServer(config, log).catch(tellOtherPorts);
      const { httpUrl, coapUrls } = server;
      const [coapUrl = null] = coapUrls;
      printResult(command, { httpUrl, coapUrl, coapUrls }, () => `serving at ${[httpUrl, ...coapUrls].join(", ")}\n`);
      await stopped;
      await server.close();
    });
}

/** Whoever meets this has most often a server running already. */
function tellOtherPorts(error: unknown): never {
  if (!(error instanceof EnvironmentError) || error.code !== "PORT_IN_USE") throw error;
  const hint = "another airlift serve perhaps: stop it, or choose other ports with --http-port and --coap-port";
  throw new EnvironmentError(error.code, `${error.message}; ${hint}`, error.facts, { cause: error });
}

/** The flags that were given, by the names of the settings. */
function settingsOf(command: Command, settingOfFlag: (flag: string) => string | undefined): ConfigSources["flags"] {
  const settings: Record<string, unknown> = {};
  for (const option of command.options) {
    const name = option.attributeName();
    const setting = settingOfFlag(option.long ?? "");
    if (setting === undefined || command.getOptionValueSource(name) !== "cli") continue;
    settings[setting] = option.negate || command.getOptionValue(name);
  }
  return settings;
}

/** Resolves with the first request to stop; a second one ends the process at once. */
function untilStopped(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve());
  });
}
