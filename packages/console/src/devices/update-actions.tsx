/** What can be done about an update, each with what follows from it. */
import type { Update } from "@airlift/protocol/api/schemas";
import { useQueryClient } from "@tanstack/react-query";
import { ask } from "../api/request.ts";
import { useMay } from "../api/session.ts";
import { ActionButton } from "../parts/action-button.tsx";

type Command = "apply" | "cancel" | "retry";

/** Before the image is with the device's installer, it can still be called off. */
const CANCELLABLE: readonly Update["state"][] = ["queued", "waiting", "transferring", "downloaded", "waitingToApply"];
const RETRIABLE: readonly Update["state"][] = ["failed", "silent", "fellBack", "cancelled"];

const CONSEQUENCES: Readonly<Record<Command, (update: Update) => string>> = {
  apply: ({ endpoint }) =>
    `${endpoint} installs the image that it has downloaded and restarts. It does not answer until it is back; if the new ` +
    "version does not start, a device with two slots falls back to the old one by itself.",
  cancel: ({ state, endpoint }) =>
    state === "queued" || state === "waiting"
      ? `Nothing is sent to ${endpoint}. It keeps the version it has.`
      : `${endpoint} is told to drop what it has downloaded and keeps the version it has. What was transferred is lost.`,
  retry: ({ endpoint, attempt }) =>
    `Attempt ${attempt + 1} begins: ${endpoint} is asked where it stands, and gets the image again if it does not have it. ` +
    "If the update is to be applied at once, the device restarts at the end.",
};

const LABELS = { apply: "Apply", cancel: "Cancel the update", retry: "Try again" } as const;

export function UpdateActions({ update }: { readonly update: Update }) {
  const client = useQueryClient();
  if (!useMay("operator")) return null;
  const commands: Command[] = [
    ...(update.state === "waitingToApply" ? (["apply"] as const) : []),
    ...(CANCELLABLE.includes(update.state) ? (["cancel"] as const) : []),
    ...(RETRIABLE.includes(update.state) ? (["retry"] as const) : []),
  ];
  return commands.map((command) => (
    <ActionButton
      key={command}
      label={LABELS[command]}
      consequence={CONSEQUENCES[command](update)}
      {...(command === "cancel" && { color: "red" })}
      act={() => ask<Update>(`updates/${encodeURIComponent(update.id)}/${command}`, { method: "POST" })}
      onDone={() => void client.invalidateQueries({ queryKey: ["updates"] })}
    />
  ));
}
