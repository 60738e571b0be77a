/** The text of a new device's QR label. */
import { deviceNameOf, encodeOnboarding } from "@airlift/protocol/zmesh/onboarding";
import { drawKeys } from "@airlift/protocol/zmesh/release";
import { zmeshCrypto } from "@airlift/runtime/zmesh-crypto";

/** Draws the keys. @param deviceId 1 … 64 of `A-Z a-z 0-9 . _ - ~`. */
export function drawLabel(deviceId: string): string {
  const { key, iv } = drawKeys(zmeshCrypto);
  return encodeOnboarding({ deviceId, channel: { name: deviceNameOf(deviceId, zmeshCrypto), key, iv } });
}
