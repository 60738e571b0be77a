import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeUtf8 } from "../lib/bytes.ts";
import { checkChain, MAX_CHAIN_LENGTH } from "./certificate-check.ts";
import type { Certificate, DtlsCrypto } from "./crypto-port.ts";

/** A certificate whose octets are its name; whoever is named as issuer did issue it. */
function certificate(name: string, issuer: string, more: Partial<Certificate> = {}): Certificate {
  const der = encodeUtf8(name);
  const key = { spki: der, verify: () => true };
  return {
    der,
    key,
    name,
    fingerprint: name,
    validFromMs: 100,
    validUntilMs: 200,
    isAuthority: name.startsWith("ca"),
    isIssuedBy: (other) => other.name === issuer,
    isFor: (host) => host === name,
    ...more,
  };
}

const ROOT = certificate("ca-root", "ca-root");

function check(
  chain: readonly Certificate[],
  policy: { utcMs?: number; host?: string; anchors?: Certificate[] } = {},
): string {
  const crypto = {
    parseCertificate: (der: Uint8Array) => chain.find((candidate) => candidate.der === der),
  } as unknown as DtlsCrypto;
  const octets = chain.map(({ der }) => der);
  try {
    const { anchors = [ROOT], utcMs = 150, host } = policy;
    return checkChain(crypto, octets, { anchors, utcMs, host }).name;
  } catch (error) {
    return (error as { code: string }).code;
  }
}

const LEAF = certificate("leaf", "ca-2");
const MIDDLE = [certificate("ca-1", "ca-root"), certificate("ca-2", "ca-1")];

test("RFC 5280 §6.1: issuers up to an anchor, in any order, the anchor itself there or not", () => {
  assert.equal(check([LEAF, ...MIDDLE]), "leaf");
  assert.equal(check([LEAF, ...MIDDLE.toReversed(), ROOT]), "leaf");
  assert.equal(check([LEAF, MIDDLE[1] as Certificate]), "CERTIFICATE_UNTRUSTED");
  assert.equal(check([LEAF], { anchors: [LEAF] }), "leaf");
  assert.equal(check([]), "CERTIFICATE_MISSING");
});

test("RFC 5280 §4.2.1.9: who is no authority issues nothing, as part of the chain and as an anchor", () => {
  const device = certificate("device", "ca-root");
  assert.equal(check([certificate("leaf", "device"), device]), "CERTIFICATE_UNTRUSTED");
  assert.equal(check([certificate("leaf", "device")], { anchors: [device] }), "CERTIFICATE_UNTRUSTED");
});

test("RFC 5280 §4.1.2.5: every certificate of the chain has to be valid now, the anchor too", () => {
  const early = { validFromMs: 160 };
  const late = { validUntilMs: 140 };
  for (const [more, code] of [
    [early, "CERTIFICATE_EARLY"],
    [late, "CERTIFICATE_EXPIRED"],
  ] as const) {
    assert.equal(check([certificate("leaf", "ca-root", more)]), code);
    assert.equal(check([LEAF, certificate("ca-2", "ca-root", more)]), code);
    assert.equal(check([LEAF, ...MIDDLE], { anchors: [{ ...ROOT, ...more }] }), code);
  }
});

test("issuers in a circle, and chains of any length, come to an end", () => {
  assert.equal(
    check([certificate("leaf", "ca-a"), certificate("ca-a", "ca-b"), certificate("ca-b", "ca-a")]),
    "CERTIFICATE_UNTRUSTED",
  );
  const many = Array.from({ length: MAX_CHAIN_LENGTH + 1 }, (_, i) => certificate(`ca-${i}`, `ca-${i + 1}`));
  assert.equal(check(many), "CERTIFICATE_MALFORMED");
});

test("RFC 6125 §6.4: the name that was asked for, or none", () => {
  assert.equal(check([LEAF, ...MIDDLE], { host: "leaf" }), "leaf");
  assert.equal(check([LEAF, ...MIDDLE], { host: "other" }), "CERTIFICATE_NAME");
});
