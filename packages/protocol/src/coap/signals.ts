/** Signaling messages: what the two ends of a connection tell each other about it (RFC 8323 §5). */
import { EMPTY, encodeUtf8 } from "../lib/bytes.ts";
import { PeerError } from "../lib/errors.ts";
import { type CoapOption, isCritical, optionUint, uintOption } from "./options.ts";
import { encodeTcpMessage, type TcpMessage } from "./tcp-message.ts";

/** Codes of class 7. @see RFC 8323 §11.1 */
export const SIGNAL = { csm: 0xe1, ping: 0xe2, pong: 0xe3, release: 0xe4, abort: 0xe5 } as const;

/** Option numbers; each belongs to the codes in its comment. @see RFC 8323 §11.2 */
export const SIGNAL_OPTION = {
  /** 7.01 */
  maxMessageSize: 2,
  /** 7.01 */
  blockWiseTransfer: 4,
  /** 7.02, 7.03 */
  custody: 2,
  /** 7.04 */
  alternativeAddress: 2,
  /** 7.04 */
  holdOff: 4,
  /** 7.05 */
  badCsmOption: 2,
} as const;

/** What an end can do, as its Capabilities and Settings Messages say. */
export interface Capabilities {
  /** Longest message that it takes, all octets counted. */
  readonly maxMessageBytes: number;
  /** It knows block-wise transfers; with room for more than the base size also those of several blocks at once. */
  readonly isBlockwise: boolean;
}

/** What holds until a CSM says otherwise. @see RFC 8323 §5.3.1 */
export const BASE_CAPABILITIES: Capabilities = { maxMessageBytes: 1_152, isBlockwise: false };

/** @see RFC 8323 §5.1 */
export function isSignalCode(code: number): boolean {
  return code >> 5 === 7;
}

/** @see RFC 8323 §5.3 */
export function encodeCsm({ maxMessageBytes, isBlockwise }: Capabilities): Uint8Array<ArrayBuffer> {
  const options = [uintOption(SIGNAL_OPTION.maxMessageSize, maxMessageBytes)];
  if (isBlockwise) options.push({ number: SIGNAL_OPTION.blockWiseTransfer, value: EMPTY });
  return encodeSignal(SIGNAL.csm, EMPTY, options);
}

/**
 * `before` with what a CSM changes.
 *
 * @throws {PeerError} `COAP_SIGNAL_OPTION` with the `badCsmOption` that is critical and not known.
 */
export function applyCsm(before: Capabilities, { options }: TcpMessage): Capabilities {
  const badCsmOption = unknownCritical(options);
  if (badCsmOption !== undefined)
    throw new PeerError("COAP_SIGNAL_OPTION", "unknown critical option in a CSM", { badCsmOption });
  const maxMessageBytes = optionUint(options, SIGNAL_OPTION.maxMessageSize) ?? before.maxMessageBytes;
  const isBlockwise = before.isBlockwise || options.some(({ number }) => number === SIGNAL_OPTION.blockWiseTransfer);
  return { maxMessageBytes, isBlockwise };
}

/**
 * A critical option of a signaling message that nobody here knows ends the connection; all that are known are elective.
 *
 * @throws {PeerError} `COAP_SIGNAL_OPTION`
 * @see RFC 8323 §5.2
 */
export function checkSignalOptions({ options }: TcpMessage): void {
  const option = unknownCritical(options);
  if (option !== undefined) throw new PeerError("COAP_SIGNAL_OPTION", "unknown critical option", { option });
}

/** @see RFC 8323 §5.4 */
export function hasCustody({ options }: TcpMessage): boolean {
  return options.some(({ number }) => number === SIGNAL_OPTION.custody);
}

/** The answer to a Ping. @see RFC 8323 §5.4.1 */
export function encodePong(token: Uint8Array, withCustody: boolean): Uint8Array<ArrayBuffer> {
  return encodeSignal(SIGNAL.pong, token, withCustody ? [{ number: SIGNAL_OPTION.custody, value: EMPTY }] : []);
}

export function encodePing(): Uint8Array<ArrayBuffer> {
  return encodeSignal(SIGNAL.ping, EMPTY, []);
}

/** Asks the peer to finish what is under way and to close. @see RFC 8323 §5.5 */
export function encodeRelease(): Uint8Array<ArrayBuffer> {
  return encodeSignal(SIGNAL.release, EMPTY, []);
}

/** The last message before the connection is closed because of what the peer did. @see RFC 8323 §5.6 */
export function encodeAbort(diagnosis: string, badCsmOption?: number): Uint8Array<ArrayBuffer> {
  const options = badCsmOption === undefined ? [] : [uintOption(SIGNAL_OPTION.badCsmOption, badCsmOption)];
  return encodeTcpMessage({ code: SIGNAL.abort, token: EMPTY, options, payload: encodeUtf8(diagnosis) });
}

function encodeSignal(code: number, token: Uint8Array, options: readonly CoapOption[]): Uint8Array<ArrayBuffer> {
  return encodeTcpMessage({ code, token, options, payload: EMPTY });
}

function unknownCritical(options: readonly CoapOption[]): number | undefined {
  return options.find(({ number }) => isCritical(number))?.number;
}
