/** A link that loses some of what it hears, for tests and demonstrations. */
import type { Random } from "@airlift/protocol/lib/core";
import type { RadioLink } from "./radio-link.ts";

/** @param loss Share of frames that are not heard, 0 … 1. */
export function lossyLink(link: RadioLink, loss: number, random: Random = Math.random): RadioLink {
  return {
    uri: link.uri,
    get counts() {
      return link.counts;
    },
    send: (frame, airtimeMs) => link.send(frame, airtimeMs),
    listen: (listener) =>
      link.listen((frame) => {
        if (random() >= loss) listener(frame);
      }),
    close: () => link.close(),
  };
}
