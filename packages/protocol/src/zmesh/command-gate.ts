/** The counter that keeps a command or an event, once taken, from being taken again. Source: profile 4, "Replay"; profile 9. */
import { EnvironmentError, PeerError } from "../lib/errors.ts";
import type { DeviceCommand } from "./command.ts";
import { openCommand, openStatus, type SealingChannel } from "./command-channel.ts";
import { isSameName } from "./content-name.ts";
import type { Frame } from "./frame.ts";
import type { StatusEvent } from "./status-event.ts";

/** FSEQ before the first frame of a channel. */
export const NO_FSEQ = -1;

/**
 * Opens a command and checks that it is newer than all that were accepted.
 *
 * @param lastFseq FSEQ of the command that was accepted last in this channel, from storage; `NO_FSEQ` at first. The caller
 *   stores the frame's FSEQ *after* it has accepted the command: what is refused may come again.
 * @throws {PeerError} `COMMAND_CHANNEL` for another kind of frame or name; `FSEQ_REPLAYED`; what `openCommand` throws.
 */
export function openFreshCommand(channel: SealingChannel, lastFseq: number, frame: Frame): DeviceCommand {
  if (frame.kind !== "command" || !isSameName(frame.name, channel.name))
    throw new PeerError("COMMAND_CHANNEL", "not a command of this channel", { kind: frame.kind });
  assertRising(lastFseq, frame.fseq);
  return openCommand(channel, frame.fseq, frame.payload);
}

/**
 * Opens a device's status event and checks that it is newer than the last one.
 *
 * @param lastFseq As in `openFreshCommand`, of the device's own numbers.
 * @throws {PeerError} `COMMAND_CHANNEL`; `FSEQ_REPLAYED`; what `openStatus` throws.
 */
export function openFreshStatus(channel: SealingChannel, lastFseq: number, frame: Frame): StatusEvent {
  if (frame.kind !== "event" || !isSameName(frame.name, channel.name))
    throw new PeerError("COMMAND_CHANNEL", "not an event of this device", { kind: frame.kind });
  assertRising(lastFseq, frame.fseq);
  return openStatus(channel, frame.fseq, frame.payload);
}

/** FSEQ rises strictly. @throws {PeerError} `FSEQ_REPLAYED` */
export function assertRising(lastFseq: number, fseq: number): void {
  if (fseq <= lastFseq) throw new PeerError("FSEQ_REPLAYED", "this number was used before", { fseq, lastFseq });
}

/**
 * The number of a sender's next frame. The sender stores it before the frame leaves: a nonce used twice gives the key away.
 *
 * @throws {EnvironmentError} `FSEQ_EXHAUSTED` after 2²⁴ frames: the channel needs a new key.
 */
export function nextFseq(lastFseq: number): number {
  if (lastFseq >= 2 ** 24 - 1)
    throw new EnvironmentError("FSEQ_EXHAUSTED", "the channel needs a new key", { lastFseq });
  return lastFseq + 1;
}
