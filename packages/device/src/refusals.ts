/** What a failed handshake means, for whoever set the device up: by the alert of the server, or the check that failed here. */

/** A sentence for what the DTLS or TLS side says; `undefined` when it says enough itself. */
export function meaningOf(text: string): string | undefined {
  return MEANINGS.find(([pattern]) => pattern.test(text))?.[1];
}

const MEANINGS: readonly (readonly [RegExp, string])[] = [
  [/unknown_psk_identity/i, "the server knows no key for this PSK identity"],
  [/decrypt_error|bad_record_mac|decryption_failed/i, "the server knows another key for this identity"],
  [
    /alert_certificate_required|certificate_required|peer_did_not_return/i,
    "the server wants a certificate of the device",
  ],
  [/unknown_ca\b/i, "the server does not trust whoever issued the device's certificate"],
  [/certificate_unknown/i, "the server does not know the device's key or certificate"],
  [
    /alert_handshake_failure|: handshake_failure/i,
    "the server accepts no credential of this kind, or no cipher suite in common",
  ],
  [/cert_has_expired/i, "the server's certificate has expired"],
  [/altname_invalid|hostname_mismatch/i, "the server's certificate is for another name"],
  [
    /self_signed|unable_to_(get_issuer|verify)|depth_zero/i,
    "the server's certificate was issued by nobody trusted here",
  ],
];
