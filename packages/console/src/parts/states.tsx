/** States as words with a colour; the colour never says more than the word. */

import type { Device, Update } from "@airlift/protocol/api/schemas";
import { Badge } from "@mantine/core";

const UPDATE_COLOURS: Partial<Record<Update["state"], string>> = {
  succeeded: "teal",
  failed: "red",
  fellBack: "red",
  silent: "red",
  cancelled: "gray",
  skipped: "gray",
  queued: "gray",
  waiting: "orange",
  waitingToApply: "orange",
};

const UPDATE_WORDS: Record<string, string> = { fellBack: "fell back", waitingToApply: "waiting to apply" };

export const UpdateState = ({ state }: { readonly state: Update["state"] }) => (
  <Badge variant="light" color={UPDATE_COLOURS[state] ?? "blue"} tt="none">
    {UPDATE_WORDS[state] ?? state}
  </Badge>
);

/** Registered devices that sleep are not gone: the word says which. */
export function Presence({ device: { presence, awake } }: { readonly device: Pick<Device, "presence" | "awake"> }) {
  const word = presence === "registered" && awake === "asleep" ? "asleep" : presence;
  return (
    <span className="state" data-state={word}>
      {word}
    </span>
  );
}
