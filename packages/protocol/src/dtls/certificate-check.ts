/** Whether a chain of certificates is believed: issuers up to an anchor, their times, and the name (RFC 5280 §6, RFC 6125). */
import { equalBytes } from "../lib/bytes.ts";
import type { Certificate, DtlsCrypto } from "./crypto-port.ts";
import { HandshakeRefusal } from "./reasons.ts";

/** Longest chain that is looked at, the peer's own certificate included. */
export const MAX_CHAIN_LENGTH = 6;

export interface ChainPolicy {
  /** An authority, or the peer's very certificate. */
  readonly anchors: readonly Certificate[];
  /** Wall clock; `undefined`: times are not checked. */
  readonly utcMs: number | undefined;
  /** The host that the certificate has to be for; `undefined`: any, as for clients. */
  readonly host?: string | undefined;
}

/**
 * The peer's own certificate, when the chain ends at an anchor. Certificates after the first may come in any order.
 *
 * @throws {HandshakeRefusal} `CERTIFICATE_MISSING`, `_MALFORMED`, `_KIND`, `_UNTRUSTED`, `_EXPIRED`, `_EARLY`, `_NAME`
 */
export function checkChain(crypto: DtlsCrypto, chain: readonly Uint8Array[], policy: ChainPolicy): Certificate {
  if (chain.length === 0) throw new HandshakeRefusal("CERTIFICATE_MISSING");
  if (chain.length > MAX_CHAIN_LENGTH) throw new HandshakeRefusal("CERTIFICATE_MALFORMED", { count: chain.length });
  const [own, ...others] = chain.map((der) => {
    const certificate = crypto.parseCertificate(der);
    if (certificate === undefined) throw new HandshakeRefusal("CERTIFICATE_MALFORMED");
    return certificate;
  }) as [Certificate, ...Certificate[]];
  if (own.key === undefined) throw new HandshakeRefusal("CERTIFICATE_KIND", { name: own.name });
  let last = own;
  for (let anchor = anchorOf(last, policy.anchors); ; anchor = anchorOf(last, policy.anchors)) {
    checkTime(last, policy.utcMs);
    if (anchor) {
      checkTime(anchor, policy.utcMs);
      break;
    }
    const place = others.findIndex((candidate) => candidate.isAuthority && last.isIssuedBy(candidate));
    if (place < 0) throw new HandshakeRefusal("CERTIFICATE_UNTRUSTED", { name: own.name });
    [last] = others.splice(place, 1) as [Certificate];
  }
  if (policy.host !== undefined && !own.isFor(policy.host))
    throw new HandshakeRefusal("CERTIFICATE_NAME", { name: own.name, expected: policy.host });
  return own;
}

function anchorOf(certificate: Certificate, anchors: readonly Certificate[]): Certificate | undefined {
  return anchors.find(
    (anchor) => equalBytes(anchor.der, certificate.der) || (anchor.isAuthority && certificate.isIssuedBy(anchor)),
  );
}

function checkTime(certificate: Certificate, utcMs: number | undefined): void {
  if (utcMs === undefined) return;
  const { name, validFromMs, validUntilMs } = certificate;
  if (utcMs < validFromMs) throw new HandshakeRefusal("CERTIFICATE_EARLY", { name, from: dayOf(validFromMs) });
  if (utcMs > validUntilMs) throw new HandshakeRefusal("CERTIFICATE_EXPIRED", { name, until: dayOf(validUntilMs) });
}

const dayOf = (utcMs: number): string => new Date(utcMs).toISOString().slice(0, 10);
