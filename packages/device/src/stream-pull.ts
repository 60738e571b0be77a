/** One connection of a pull over CoAP on TCP or TLS: a connection of its own, closed with the pull. */
import type { BlockSink } from "@airlift/protocol/coap/body";
import { CoapTcp } from "@airlift/runtime/coap-tcp";
import { type CoapConnection, requestOf } from "./coap-pull.ts";
import type { StreamPullOptions } from "./pull-security.ts";

/** 16 KiB at once: a handful of blocks for a fast link, and still within the time limit on one of a kilobyte a second. */
const PULL_MESSAGE_BYTES = 16 * 1_024 + 256;

/** Pulls until the end of the image. Rejects as `CoapClient.download` and `CoapTcp.connect`, and with `NoPullSecurity`. */
export async function pullCoapTcp(
  { securityFor, timeoutFor }: StreamPullOptions,
  blockBytes: number | undefined,
  { uri, parts, offset, etag, signal, onOrigin, write }: CoapConnection,
): Promise<void> {
  const security = parts.scheme === "coaps+tcp" ? await securityFor(uri) : undefined;
  const timeoutMs = timeoutFor(uri);
  signal.throwIfAborted();
  const client = new CoapTcp({ endpoint: { maxMessageBytes: PULL_MESSAGE_BYTES } });
  try {
    const peer = await client.connect({ host: parts.host, port: parts.port, security, timeoutMs, signal });
    const sink: BlockSink = { write };
    await client.download(peer, requestOf(parts), sink, {
      offset,
      etag,
      blockBytes,
      responseTimeoutMs: timeoutMs,
      signal,
      onStart: (start) => onOrigin(start.etag, start.sizeBytes),
    });
  } finally {
    await client.close();
  }
}
