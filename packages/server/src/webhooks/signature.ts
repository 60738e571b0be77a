/** How a receiver knows that a delivery is ours: HMAC-SHA256 over its id, its time and its bytes, as Standard Webhooks writes it. */
import { createHmac } from "node:crypto";

export interface Signed {
  /** The same in every attempt. */
  readonly id: string;
  /** Seconds since 1970: of this attempt, so that an old delivery that is caught and sent again can be refused. */
  readonly timestampS: number;
  readonly body: string;
}

/** The headers of one attempt; `webhook-signature` is "v1," and the digest in Base64. */
export function signatureHeaders(secret: Uint8Array, { id, timestampS, body }: Signed): Record<string, string> {
  const digest = createHmac("sha256", secret).update(`${id}.${timestampS}.${body}`).digest("base64");
  return { "webhook-id": id, "webhook-timestamp": `${timestampS}`, "webhook-signature": `v1,${digest}` };
}
