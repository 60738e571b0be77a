/** The cipher suites of this house. All of them use SHA-256 for the PRF (RFC 5246 §5). */
import type { AeadAlgorithm } from "./crypto-port.ts";

/** psk: RFC 4279 §2 · ecdhePsk: RFC 5489 §2 · ecdheEcdsa: RFC 8422 §2.1 */
export type KeyExchange = "psk" | "ecdhePsk" | "ecdheEcdsa";

export interface CipherSuite {
  readonly name: string;
  /** As on the wire. */
  readonly id: number;
  readonly keyExchange: KeyExchange;
  readonly protection: AeadAlgorithm | "cbc";
}

const suite = (
  name: string,
  id: number,
  keyExchange: KeyExchange,
  protection: CipherSuite["protection"],
): CipherSuite => ({ name, id, keyExchange, protection });

/** Every suite that can be switched on; none is ever used that is not here. */
export const SUITES: readonly CipherSuite[] = [
  suite("TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8", 0xc0ae, "ecdheEcdsa", "ccm8"),
  suite("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", 0xc02b, "ecdheEcdsa", "gcm"),
  suite("TLS_ECDHE_PSK_WITH_AES_128_CCM_8_SHA256", 0xd003, "ecdhePsk", "ccm8"),
  suite("TLS_PSK_WITH_AES_128_CCM_8", 0xc0a8, "psk", "ccm8"),
  suite("TLS_PSK_WITH_AES_128_GCM_SHA256", 0x00a8, "psk", "gcm"),
  suite("TLS_PSK_WITH_AES_128_CBC_SHA256", 0x00ae, "psk", "cbc"),
];

/** All but CBC, which LwM2M 1.0 devices may ask for and which is worse in every way: name it to have it. */
export const DEFAULT_SUITES: readonly CipherSuite[] = SUITES.filter(({ protection }) => protection !== "cbc");

/** The suite of that number, or `undefined`. */
export function suiteById(id: number): CipherSuite | undefined {
  return SUITES.find((candidate) => candidate.id === id);
}

/** The suite of that name (`TLS_…`), or `undefined`. */
export function suiteByName(name: string): CipherSuite | undefined {
  return SUITES.find((candidate) => candidate.name === name);
}

/** Octets of one side's keys: key and implicit nonce (RFC 6655 §3), or key and MAC key for CBC. */
export function keyBytesOf({ protection }: CipherSuite): { mac: number; key: 16; iv: number } {
  return protection === "cbc" ? { mac: 32, key: 16, iv: 0 } : { mac: 0, key: 16, iv: 4 };
}
