/** How a device gets its server account from a bootstrap server. */
import type { Configuration } from "@airlift/protocol/lwm2m/bootstrap/configuration";
import { credentialMistakes, type ServerCredentials } from "./credentials.ts";
import type { RetryPolicy } from "./session/registration.ts";
import { parsePackageUri } from "./transfer/package-uri.ts";

/** What bootstrapping has brought: one configuration that has worked, and one that has to prove itself. */
export interface StoredConfiguration {
  readonly former: Configuration | undefined;
  readonly untried: Configuration | undefined;
}

/**
 * Where keys and accounts are kept; nobody else may read it. `save` is durable once its promise settles, and replaces all
 * at once: after a power cut `load` gives what was saved last or what was saved before.
 */
export interface CredentialStore {
  load(): Promise<StoredConfiguration>;
  save(stored: StoredConfiguration): Promise<void>;
}

export interface BootstrapOptions {
  /** `coaps://host[:port]`, or any other scheme of a server. */
  readonly server: string;
  /** What the device was made with: its factory credential. */
  readonly credentials?: ServerCredentials;
  readonly store: CredentialStore;
  /** Client Hold Off Time, seconds: before the first request of a device that has no account. Default 0. */
  readonly holdOffS?: number;
  /** How long the bootstrap server may be silent in the middle of it; default `DEFAULT_BOOTSTRAP_CLIENT.silenceMs`. */
  readonly silenceMs?: number;
  readonly retry?: RetryPolicy;
  /** Asks for everything in one answer first (LwM2M 1.2). Default false. */
  readonly pack?: boolean;
}

/** A sentence for each mistake. */
export function bootstrapMistakes({ server, credentials, holdOffS = 0 }: BootstrapOptions): string[] {
  const address = parsePackageUri(server);
  const isServer = address && ["coap", "coaps", "coap+tcp", "coaps+tcp"].includes(address.scheme);
  if (!isServer || address.pathAndQuery !== "/")
    return ["bootstrap server: not coap://host[:port], nor with coaps, coap+tcp or coaps+tcp"];
  return [
    ...credentialMistakes(address.scheme, credentials).map((mistake) => `bootstrap ${mistake}`),
    ...(holdOffS >= 0 && holdOffS < 2 ** 31 / 1_000 ? [] : ["bootstrap hold-off: 0 … 24 days"]),
  ];
}
