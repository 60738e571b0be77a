/** The text of a new device's QR label. */
import { deviceNameOf, encodeOnboarding } from "@airlift/protocol/zmesh/onboarding";
import { drawKeys } from "@airlift/protocol/zmesh/release";
import { zmeshCrypto } from "@airlift/runtime/zmesh-crypto";

/** Draws the keys. @throws {UsageError} `ONBOARDING` for an id that no label has. */
export function drawLabel(deviceId: string): string {
  const { key, iv } = drawKeys(zmeshCrypto);
  return encodeOnboarding({ deviceId, channel: { name: deviceNameOf(deviceId, zmeshCrypto), key, iv } });
}
