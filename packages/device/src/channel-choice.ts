/** Which channel leads to a server: the one that the scheme of its address names. */
import { credentialOf, tlsSecurityOf } from "./credentials.ts";
import type { ServerChannel, ServerChannelOptions } from "./server-channel.ts";

/**
 * Opens the channel that the scheme of the server's address names; nothing is sent yet.
 *
 * @throws {EnvironmentError} PORT_IN_USE and the like, as `openUdp`
 */
export async function openServerChannel(options: ServerChannelOptions): Promise<ServerChannel> {
  const { address, credentials } = options;
  // Only who uses a transport has it in memory.
  switch (address.scheme) {
    case "coaps": {
      const { openDtlsChannel } = await import("./dtls-channel.ts");
      return openDtlsChannel(options, credentialOf(credentials, address.host));
    }
    case "coap+tcp":
    case "coaps+tcp": {
      const { openTcpChannel } = await import("./tcp-channel.ts");
      return openTcpChannel(options, address.scheme === "coaps+tcp" ? tlsSecurityOf(credentials) : undefined);
    }
    default: {
      const { openUdpChannel } = await import("./udp-channel.ts");
      return openUdpChannel(options);
    }
  }
}
