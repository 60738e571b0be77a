/** The codes of requests and responses: class in the upper three bits, detail in the lower five (RFC 7252 §3, §12.1). */

/** Method codes. @see RFC 7252 §12.1.1, RFC 8132 §4 */
export const METHOD = {
  get: 0x01,
  post: 0x02,
  put: 0x03,
  delete: 0x04,
  fetch: 0x05,
  patch: 0x06,
  iPatch: 0x07,
} as const;

/** Response codes. @see RFC 7252 §12.1.2, RFC 7959 §2.9, RFC 8132 §4, RFC 8516 */
export const CODE = {
  empty: 0x00,
  created: 0x41,
  deleted: 0x42,
  valid: 0x43,
  changed: 0x44,
  content: 0x45,
  continue: 0x5f,
  badRequest: 0x80,
  unauthorized: 0x81,
  badOption: 0x82,
  forbidden: 0x83,
  notFound: 0x84,
  methodNotAllowed: 0x85,
  notAcceptable: 0x86,
  requestEntityIncomplete: 0x88,
  conflict: 0x89,
  preconditionFailed: 0x8c,
  requestEntityTooLarge: 0x8d,
  unsupportedContentFormat: 0x8f,
  unprocessableEntity: 0x96,
  tooManyRequests: 0x9d,
  internalServerError: 0xa0,
  notImplemented: 0xa1,
  badGateway: 0xa2,
  serviceUnavailable: 0xa3,
  gatewayTimeout: 0xa4,
  proxyingNotSupported: 0xa5,
} as const;

/** The code in the notation of the specification: `4.04`. */
export function formatCode(code: number): string {
  return `${code >> 5}.${String(code & 0x1f).padStart(2, "0")}`;
}

/** Class 0, but not the Empty message. */
export function isRequestCode(code: number): boolean {
  return code > 0 && code < 0x20;
}

/** Class 2, 4 or 5; the other classes are reserved (RFC 7252 §3). */
export function isResponseCode(code: number): boolean {
  const codeClass = code >> 5;
  return codeClass === 2 || codeClass === 4 || codeClass === 5;
}

/** Class 2. */
export function isSuccessCode(code: number): boolean {
  return code >> 5 === 2;
}

/** GET and FETCH: may be carried out again without harm, so each block of their answer can be asked for by itself. */
export function isSafeMethod(code: number): boolean {
  return code === METHOD.get || code === METHOD.fetch;
}
