/** Opening the HTTP port, with one clear line when it cannot be opened. */
import type { AddressInfo } from "node:net";
import { Server as TlsServer } from "node:tls";
import { bindFailure } from "@airlift/runtime/bind-failure";
import type { FastifyInstance } from "fastify";

/**
 * @param port 0 = any free one.
 * @returns The base URL without a slash at the end, "http://127.0.0.1:8080", or https.
 * @throws {EnvironmentError} PORT_IN_USE, PORT_FORBIDDEN, NO_SUCH_ADDRESS, SOCKET_BIND
 */
export async function listen(app: FastifyInstance, host: string, port: number): Promise<string> {
  try {
    await app.listen({ host, port });
  } catch (error) {
    throw bindFailure({ protocol: "HTTP", host, port }, error);
  }
  const { address, port: actual, family } = app.server.address() as AddressInfo;
  const scheme = app.server instanceof TlsServer ? "https" : "http";
  return `${scheme}://${family === "IPv6" ? `[${address}]` : address}:${actual}`;
}
