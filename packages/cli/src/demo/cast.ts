/** The ten devices of the demo: how each gets its firmware, and over what kind of link. */

export interface CastMember {
  readonly endpoint: string;
  /** What an operator reads in the table. */
  readonly way: string;
  readonly method: "push" | "pull";
  /** Options of `airlift device` beside its name, server, slots and key. */
  readonly options: readonly string[];
  /** Its power is cut in the middle of the download. */
  readonly losesPower: boolean;
}

interface Traits {
  readonly method: "push" | "pull";
  readonly protocol?: "coap" | "http";
  readonly blockBytes?: number;
  /** Of all datagrams, in both directions. Such a link is short: waiting 2 s for each of them would only cost the viewer time. */
  readonly loss?: number;
  readonly losesPower?: boolean;
}

const TRAITS: readonly Traits[] = [
  { method: "pull", blockBytes: 1024 },
  { method: "pull", blockBytes: 512 },
  { method: "pull", blockBytes: 256 },
  { method: "pull", blockBytes: 1024, loss: 0.05 },
  { method: "pull", blockBytes: 512, loss: 0.05 },
  { method: "push", blockBytes: 1024 },
  { method: "push", blockBytes: 512 },
  { method: "push", blockBytes: 256 },
  { method: "pull", protocol: "http" },
  { method: "pull", blockBytes: 256, losesPower: true },
];

const LOSSY_ACK_TIMEOUT_MS = 25;

export const CAST: readonly CastMember[] = TRAITS.map((traits, index) => ({
  endpoint: `demo-${String(index + 1).padStart(2, "0")}`,
  way: wayOf(traits),
  method: traits.method,
  options: optionsOf(traits),
  losesPower: traits.losesPower ?? false,
}));

function wayOf({ method, protocol = "coap", blockBytes, loss, losesPower }: Traits): string {
  const parts = [method === "push" ? "push" : `pull over ${protocol}`];
  if (blockBytes !== undefined) parts.push(`${blockBytes}-byte blocks`);
  if (loss !== undefined) parts.push(`${loss * 100} % loss`);
  if (losesPower) parts.push("power cut");
  return parts.join(", ");
}

function optionsOf({ method, protocol = "coap", blockBytes, loss }: Traits): string[] {
  const options = ["--methods", method, "--protocols", protocol];
  if (blockBytes !== undefined) options.push("--block-size", String(blockBytes));
  if (loss !== undefined) options.push("--loss", String(loss), "--ack-timeout", String(LOSSY_ACK_TIMEOUT_MS));
  return options;
}
