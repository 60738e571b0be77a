/**
 * What is printed on a device as a QR code: who it is, and the channel it shares with its network.
 *
 *     ZMESH:1:<device id>:<management key, 32 hex digits>:<IV, 18 hex digits>[:<name, 12 hex digits>]
 *
 * In capitals, all of it is in the alphanumeric mode of QR codes (ISO/IEC 18004 §7.3.4). Source: profile 4.
 */
import { fromHex, toHex } from "../lib/bytes.ts";
import { UsageError } from "../lib/errors.ts";
import type { CommandChannel } from "./command-channel.ts";
import { isName, nameOf } from "./content-name.ts";
import { KEY_BYTES, type ZmeshCrypto } from "./crypto-port.ts";
import { IV_BYTES } from "./schedule.ts";

/** What a device brings with it. The key is a secret. */
export interface Onboarding {
  /** 1 … 64 of `A-Z a-z 0-9 . _ - ~`, not `.` or `..`; also its endpoint's name. */
  readonly deviceId: string;
  readonly channel: CommandChannel;
}

/** The name of a device's own channel, unless its label says another: the six octets of `zdm/dev/<device id>`. */
export const deviceNameOf = (deviceId: string, crypto: ZmeshCrypto): Uint8Array =>
  nameOf(`zdm/dev/${deviceId}`, crypto);

/** The name of a group's channel: the six octets of `zdm/grp/<group id>`. */
export const groupNameOf = (groupId: string, crypto: ZmeshCrypto): Uint8Array => nameOf(`zdm/grp/${groupId}`, crypto);

/**
 * Reads a label. Blanks around it are ignored, hex digits may be of either case.
 *
 * @throws {UsageError} `ONBOARDING` with what is wrong; the text itself is never repeated, as it holds a key.
 */
export function decodeOnboarding(text: string, crypto: ZmeshCrypto): Onboarding {
  const [scheme, version, deviceId = "", keyHex = "", ivHex = "", nameHex, ...rest] = text.trim().split(":");
  if (scheme?.toUpperCase() !== "ZMESH") throw wrong("it does not begin with ZMESH:");
  if (version !== "1" || rest.length > 0) throw wrong("it is not of version 1");
  assertDeviceId(deviceId);
  const key = octets(keyHex, KEY_BYTES, "the key");
  const iv = octets(ivHex, IV_BYTES, "the IV");
  const name = nameHex === undefined ? deviceNameOf(deviceId, crypto) : octets(nameHex, 6, "the name");
  if (!isName(name)) throw wrong("the name has octets that networks reserve");
  return { deviceId, channel: { name, key, iv } };
}

/** The text of a label, in capitals but for the id. @throws {UsageError} `ONBOARDING` for an id that no label has. */
export function encodeOnboarding({ deviceId, channel }: Onboarding): string {
  assertDeviceId(deviceId);
  const hex = (bytes: Uint8Array) => toHex(bytes).toUpperCase();
  return ["ZMESH", "1", deviceId, hex(channel.key), hex(channel.iv), hex(channel.name)].join(":");
}

/** `.` and `..` cannot be asked for in a URL (RFC 3986 §5.2.4). */
function assertDeviceId(id: string): void {
  if (!/^(?!\.\.?$)[A-Za-z0-9._~-]{1,64}$/.test(id))
    throw wrong("a device id has 1 … 64 letters, digits or . _ - ~, and is not . or ..");
}

function octets(hex: string, count: number, what: string): Uint8Array {
  const bytes = fromHex(hex.toLowerCase());
  if (bytes?.length !== count) throw wrong(`${what} has ${2 * count} hexadecimal digits`);
  return bytes;
}

const wrong = (why: string): UsageError => new UsageError("ONBOARDING", `this is no label of a mesh device: ${why}`);
