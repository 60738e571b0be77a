/** Why an address or port could not be had, in one clear line. */
import { EnvironmentError } from "@airlift/protocol/lib/errors";

const REASONS: Readonly<Record<string, readonly [code: string, what: string]>> = {
  EADDRINUSE: ["PORT_IN_USE", "is used by another program"],
  EACCES: ["PORT_FORBIDDEN", "may not be opened by this account"],
  EADDRNOTAVAIL: ["NO_SUCH_ADDRESS", "is not an address of this machine"],
};

/** What could not be bound: "UDP" or "HTTP", and where; an absent host is every address. */
export interface Bound {
  readonly protocol: string;
  readonly host?: string | undefined;
  readonly port: number;
}

/** PORT_IN_USE, PORT_FORBIDDEN, NO_SUCH_ADDRESS; SOCKET_BIND for what the system says but rarely. */
export function bindFailure({ protocol, host, port }: Bound, cause: unknown): EnvironmentError {
  const { code: systemCode, message } = cause as NodeJS.ErrnoException;
  const [code, what] = REASONS[systemCode ?? ""] ?? ["SOCKET_BIND", `cannot be opened: ${message}`];
  const where = host === undefined ? `${port}` : `${host}:${port}`;
  return new EnvironmentError(code, `${protocol} port ${where} ${what}`, { host, port }, { cause });
}
