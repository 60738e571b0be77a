/** Opening the HTTP port, with one clear line when it cannot be opened. */
import type { AddressInfo } from "node:net";
import { EnvironmentError } from "@airlift/protocol/lib/errors";
import type { FastifyInstance } from "fastify";

const REASONS: Readonly<Record<string, readonly [string, string]>> = {
  EADDRINUSE: ["PORT_IN_USE", "is used by another program"],
  EACCES: ["PORT_FORBIDDEN", "may not be opened by this account"],
  EADDRNOTAVAIL: ["NO_SUCH_ADDRESS", "is not an address of this machine"],
};

/**
 * @param port 0 = any free one.
 * @returns The base URL without a slash at the end, "http://127.0.0.1:8080".
 * @throws {EnvironmentError} PORT_IN_USE, PORT_FORBIDDEN, NO_SUCH_ADDRESS
 */
export async function listen(app: FastifyInstance, host: string, port: number): Promise<string> {
  try {
    await app.listen({ host, port });
  } catch (error) {
    const [code, what] = REASONS[(error as NodeJS.ErrnoException).code ?? ""] ?? [];
    if (code === undefined) throw error;
    throw new EnvironmentError(code, `HTTP port ${host}:${port} ${what}`, { host, port }, { cause: error });
  }
  const { address, port: actual, family } = app.server.address() as AddressInfo;
  return `http://${family === "IPv6" ? `[${address}]` : address}:${actual}`;
}
