/** What a device proves itself with, from flags, files and the environment; no key is ever repeated in a mistake. */
import { readFileSync } from "node:fs";
import type { ServerCredentials } from "@airlift/device/credentials";
import type { OptionReader } from "./device-options.ts";

/** As the command line gives them. */
export interface RawCredentialOptions {
  readonly pskIdentity?: string;
  readonly pskKey?: string;
  readonly rpkKey?: string;
  readonly serverRpk?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly ca?: string;
}

/** A key that others on the machine cannot see in the list of processes. */
export const PSK_KEY_VARIABLE = "AIRLIFT_PSK_KEY";

/** The credentials, `undefined` when none are named, and what is wrong with them. */
export function readCredentials(
  raw: RawCredentialOptions,
  environment: Readonly<Record<string, string | undefined>>,
): { readonly credentials: ServerCredentials | undefined; readonly mistakes: readonly string[] } {
  const mistakes: string[] = [];
  const file = (name: string, path: string | undefined): string | undefined => {
    if (path === undefined) return undefined;
    try {
      return readFileSync(path, "utf8");
    } catch {
      mistakes.push(`--${name} ${path}: cannot be read`);
      return undefined;
    }
  };
  const keyHex = raw.pskKey ?? (raw.pskIdentity === undefined ? undefined : environment[PSK_KEY_VARIABLE]);
  if ((raw.pskIdentity === undefined) !== (keyHex === undefined))
    mistakes.push(`--psk-identity and --psk-key (or ${PSK_KEY_VARIABLE}): both or none`);
  if ((raw.cert === undefined) !== (raw.key === undefined)) mistakes.push("--cert and --key: both or none");
  const key = keyHex === undefined ? undefined : keyOf(keyHex);
  if (keyHex !== undefined && key === undefined) mistakes.push("--psk-key: not an even number of hexadecimal digits");
  const [rpkKey, serverRpk, ca] = [file("rpk-key", raw.rpkKey), file("server-rpk", raw.serverRpk), file("ca", raw.ca)];
  const [chainPem, keyPem] = [file("cert", raw.cert), file("key", raw.key)];
  const credentials: ServerCredentials = {
    ...(raw.pskIdentity !== undefined && key && { psk: { identity: raw.pskIdentity, key } }),
    ...(rpkKey !== undefined && { rpk: { keyPem: rpkKey } }),
    ...(chainPem !== undefined && keyPem !== undefined && { certificate: { chainPem, keyPem } }),
    ...((serverRpk !== undefined || ca !== undefined) && { trust: { rpkPem: serverRpk, certificatesPem: ca } }),
  };
  return { credentials: Object.keys(credentials).length > 0 ? credentials : undefined, mistakes };
}

/** The keys of a fleet by endpoint name; lines that are empty or begin with # count for nothing. */
export function readFleetCredentials(path: string, reader: OptionReader): ReadonlyMap<string, ServerCredentials> {
  const found = new Map<string, ServerCredentials>();
  let text = "";
  try {
    text = readFileSync(path, "utf8");
  } catch {
    reader.mistakes.push(`--credentials ${path}: cannot be read`);
  }
  for (const [index, line] of text.split("\n").entries()) {
    if (line.trim() === "" || line.startsWith("#")) continue;
    const [endpoint, identity, hex, ...rest] = line.trim().split(/\s+/);
    const key = hex === undefined ? undefined : keyOf(hex);
    if (endpoint === undefined || identity === undefined || key === undefined || rest.length > 0)
      reader.mistakes.push(`--credentials ${path}:${index + 1}: not ENDPOINT PSK-IDENTITY PSK-KEY in hex`);
    else found.set(endpoint, { psk: { identity, key } });
  }
  return found;
}

function keyOf(hex: string): Uint8Array | undefined {
  return /^([0-9a-f]{2})+$/i.test(hex) ? Uint8Array.from(Buffer.from(hex, "hex")) : undefined;
}
