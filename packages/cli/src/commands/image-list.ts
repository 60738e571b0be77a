/** `airlift image list`: what the server can install. */
import type { Command } from "commander";
import { clientOf, printResult } from "../terminal.ts";
import { agoText, sizeText, table } from "../text.ts";

export function registerImageList(image: Command): void {
  image
    .command("list")
    .description("list the images, newest first")
    .action(async (_: unknown, command: Command) => {
      const images = await clientOf(command).images();
      printResult(command, images, () =>
        table(
          ["ID", "MANUFACTURER", "MODEL", "VERSION", "SIZE", "FORMAT", "SIGNED", "ADDED"],
          images.map((one) => [
            one.id,
            one.manufacturer,
            one.model,
            one.version,
            sizeText(one.sizeBytes),
            one.format,
            one.signature === null ? "no" : (one.signature.verifiedBy ?? "by an unknown key"),
            agoText(one.createdAt, Date.now()),
          ]),
        ),
      );
    });
}
