/** The cookie of a signed-in browser (RFC 6265 §4.1): for this host alone, out of reach for scripts and other sites. */

/** Under https the prefix makes the browser hold to it: this host, secure, every path. */
const SECURE_NAME = "__Host-airlift_session";
const PLAIN_NAME = "airlift_session";

/** The value of the session cookie in a Cookie header. */
export function sessionCookieOf(header: string | undefined): string | undefined {
  if (header === undefined || header.length > 8192) return undefined;
  const values = new Map<string, string>();
  for (const pair of header.split(";")) {
    const at = pair.indexOf("=");
    if (at > 0) values.set(pair.slice(0, at).trim(), pair.slice(at + 1).trim());
  }
  return values.get(SECURE_NAME) ?? values.get(PLAIN_NAME);
}

/** The Set-Cookie header that gives it; an empty `value` takes it away. */
export function sessionCookie(
  value: string,
  { isSecure, lifetimeS }: { isSecure: boolean; lifetimeS: number },
): string {
  const name = isSecure ? SECURE_NAME : PLAIN_NAME;
  const attributes = `Path=/; HttpOnly; SameSite=Strict; Max-Age=${Math.max(0, Math.floor(lifetimeS))}`;
  return `${name}=${value}; ${attributes}${isSecure ? "; Secure" : ""}`;
}
