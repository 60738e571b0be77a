/** Alerts (RFC 5246 §7.2). */

/** Numbers of the alerts that we send or that peers are known to send. */
export const ALERT = {
  closeNotify: 0,
  unexpectedMessage: 10,
  badRecordMac: 20,
  recordOverflow: 22,
  handshakeFailure: 40,
  badCertificate: 42,
  unsupportedCertificate: 43,
  certificateRevoked: 44,
  certificateExpired: 45,
  certificateUnknown: 46,
  illegalParameter: 47,
  unknownCa: 48,
  accessDenied: 49,
  decodeError: 50,
  decryptError: 51,
  protocolVersion: 70,
  insufficientSecurity: 71,
  internalError: 80,
  userCanceled: 90,
  noRenegotiation: 100,
  unsupportedExtension: 110,
  unrecognizedName: 112,
  unknownPskIdentity: 115,
} as const;

export type AlertName = keyof typeof ALERT;

export interface Alert {
  readonly isFatal: boolean;
  /** See `ALERT`; others are possible. */
  readonly description: number;
}

const WARNING = 1;
const FATAL = 2;

export function encodeAlert(name: AlertName): Uint8Array {
  const isWarning = name === "closeNotify" || name === "noRenegotiation";
  return Uint8Array.of(isWarning ? WARNING : FATAL, ALERT[name]);
}

/** The alert in a record, or `undefined` when it is none: whoever sends that cannot be told so. */
export function decodeAlert(fragment: Uint8Array): Alert | undefined {
  const [level, description] = fragment;
  if (fragment.length !== 2 || description === undefined || (level !== WARNING && level !== FATAL)) return undefined;
  return { isFatal: level === FATAL, description };
}

/** The name of an alert in the words of its registry: `unknown_psk_identity`; its number when we have no name. */
export function alertWords(description: number): string {
  const name = Object.entries(ALERT).find(([, number]) => number === description)?.[0];
  return name === undefined ? `alert ${description}` : name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
