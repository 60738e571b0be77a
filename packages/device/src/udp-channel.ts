/** The server over plain UDP. */
import { openCoapUdp } from "@airlift/runtime/coap-udp";
import { resolveUdpPeer, type UdpPeer } from "@airlift/runtime/udp";
import { explainPlainly, type ServerChannel, type ServerChannelOptions } from "./server-channel.ts";

/** @throws {EnvironmentError} as `openUdp` */
export async function openUdpChannel(options: ServerChannelOptions): Promise<ServerChannel> {
  const { address, bind, loss, transmission } = options;
  // A socket speaks one IP version; that of a name is IPv4 where it has one.
  const host = address.host.includes(":") ? "::" : undefined;
  const coap = await openCoapUdp({ host, ...bind, loss, endpoint: { ...(transmission && { transmission }) } });
  let server: UdpPeer | undefined;
  return {
    coap,
    // Looked up every time: a server that moves is found again by its name.
    reach: async () => {
      server = await resolveUdpPeer(address.host, address.port);
      return server;
    },
    isServer: ({ key }) => key === server?.key,
    holderOf: async (parts) => {
      if (parts.scheme !== "coap") return undefined;
      const holder = await resolveUdpPeer(parts.host, parts.port);
      return holder.key === server?.key ? server : undefined;
    },
    renew: () => undefined,
    explain: explainPlainly,
    rest: () => undefined,
    close: () => coap.close(),
  };
}
