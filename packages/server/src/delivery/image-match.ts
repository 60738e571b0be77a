/** Whether an image is for a device, and whether it says of itself what is said of it. */
import type { Device, Image } from "@airlift/protocol/api/schemas";
import { compareVersions } from "@airlift/protocol/image/version";

/**
 * What of the device contradicts the image, in words; `undefined` when nothing does. What the device does not tell
 * contradicts nothing. The hardware of a component or a package is not the device's, so only firmware is held to it.
 *
 * @param target As in the API, "firmware".
 */
export function findMismatch(
  image: Pick<Image, "manufacturer" | "model" | "hardware">,
  device: Pick<Device, "manufacturer" | "model" | "hardware">,
  target: string,
): string | undefined {
  for (const [what, told, wanted] of [
    ["manufacturer", device.manufacturer, image.manufacturer],
    ["model", device.model, image.model],
  ] as const)
    if (told !== null && told !== wanted) return `its ${what} is ${told}, the image's is ${wanted}`;
  const { hardware } = device;
  if (target !== "firmware" || hardware === null || image.hardware.length === 0) return undefined;
  if (image.hardware.includes(hardware)) return undefined;
  return `its hardware is ${hardware}, the image runs on ${image.hardware.join(", ")}`;
}

/** What an operator should look at before an image is installed, one sentence each. @param headerVersion In the image itself. */
export function imageWarnings({ version }: Pick<Image, "version">, headerVersion: string | null): string[] {
  if (headerVersion === null || compareVersions(headerVersion, version) === 0) return [];
  return [
    `the image's own header says version ${headerVersion}, not ${version}: the device may report the one in the header, and the update would not count as done`,
  ];
}
