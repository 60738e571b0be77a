/** What a gateway is told to broadcast, and the commands that devices hear before it: every frame with a number of its own. Source: profile 4, 6. */
import type { BroadcastPart, SealedCommand, TransmitOrder } from "@airlift/protocol/api/gateway";
import { toHex } from "@airlift/protocol/lib/bytes";
import { airtimeMs } from "@airlift/protocol/zmesh/airtime";
import { ENC_TYPE } from "@airlift/protocol/zmesh/chunking";
import type { DeviceCommand } from "@airlift/protocol/zmesh/command";
import { type CommandChannel, sealCommand } from "@airlift/protocol/zmesh/command-channel";
import { manifestIv } from "@airlift/protocol/zmesh/content-cipher";
import type { ZmeshCrypto } from "@airlift/protocol/zmesh/crypto-port";
import { AT_ONCE } from "@airlift/protocol/zmesh/instant";
import type { Schedule } from "@airlift/protocol/zmesh/schedule";
import type { PackedRelease, PackedShape } from "./packed-release.ts";
import type { SessionPlan } from "./session-plan.ts";

/** A channel with numbers that nobody else uses, from `firstFseq` on. */
export interface NumberedChannel {
  readonly channel: CommandChannel;
  readonly firstFseq: number;
}

/** Numbers that a session's polls may take in the group's channel. */
export const POLL_FSEQS = 256;
/** Frames of the group before the polls: two schedules. */
export const GROUP_FSEQS = POLL_FSEQS + 2;
/** A frame to a whole group is sent so often: at 5 % loss, one device in three million hears none. */
export const GROUP_REPEATS = 5;
/** Numbers that a question to a device takes: the manifest's schedule, and the image's. */
export const ASK_FSEQS = 2;
/** Octets of a sealed schedule. */
export const SCHEDULE_BYTES = 47;
/** A frame to one device. */
export const DEVICE_REPEATS = 3;
/** Time for what a gateway does before the first frame, and for its poll's slots. */
const SLACK_MS = 2_000;
const POLL_SLOTS_MS = 2 * 1_024 * 20;

/** A device that has to be spoken to alone. */
export interface LoneDevice extends NumberedChannel {
  /** It does not have the group's key. */
  readonly mustJoin: boolean;
  /** The group's schedule is not for it, or not for it alone. */
  readonly isScheduledAlone: boolean;
}

/** How many numbers a device's own frames take. */
export const deviceFseqs = ({
  mustJoin,
  isScheduledAlone,
}: Pick<LoneDevice, "mustJoin" | "isScheduledAlone">): number => (mustJoin ? 1 : 0) + (isScheduledAlone ? 2 : 0);

export interface SessionInput {
  readonly sessionId: string;
  readonly plan: SessionPlan;
  readonly release: PackedRelease;
  readonly keys: { readonly key: Uint8Array; readonly iv: Uint8Array };
  readonly group: NumberedChannel;
  /** The whole group may hear the schedule. */
  readonly isForGroup: boolean;
  readonly devices: readonly LoneDevice[];
  /** After the broadcast, devices may ask for packets until then. */
  readonly answersUntilMs: number;
}

export interface SessionOrder {
  readonly order: TransmitOrder;
  /** To be sent first, where one order does not hold them. */
  readonly commands: readonly SealedCommand[];
  /** Update Time of the image. */
  readonly updateAtMs: number;
}

/** Most commands of one part. */
export const MOST_COMMANDS = 1024;

/** @param crypto Seals. */
export function sessionOrder(input: SessionInput, crypto: ZmeshCrypto): SessionOrder {
  const { plan, release, group, sessionId } = input;
  const { gateway } = plan;
  const times = timesOf(input);
  const commands = commandsOf(input, times, crypto);
  const isSplit = commands.length > MOST_COMMANDS;
  // The group's schedules are the last ones: a device that joins now hears them.
  const parts: BroadcastPart[] = [
    partOf(release.manifest, times.manifestAtMs, {
      gapMs: release.gapMs,
      commands: isSplit ? commands.slice(-2) : commands,
    }),
    partOf(release.image, times.imageAtMs, { gapMs: release.gapMs, commands: [] }),
  ];
  const order: TransmitOrder = {
    kind: "transmit",
    sessionId,
    band: gateway.band,
    rateBps: gateway.rateBps,
    ttl: 0,
    pollChannel: {
      name: toHex(group.channel.name),
      key: toHex(group.channel.key),
      iv: toHex(group.channel.iv),
      firstFseq: group.firstFseq + 2,
      lastFseq: group.firstFseq + GROUP_FSEQS - 1,
    },
    parts,
    deviceCount: plan.deviceCount,
    loss: gateway.loss,
    windows: [...plan.windows],
    airtimeBudgetMs: null,
    maxPolls: 16,
    slotMs: 20,
    answersUntilMs: input.answersUntilMs,
  };
  return { order, commands: isSplit ? commands.slice(0, -2) : [], updateAtMs: times.imageAtMs };
}

/** The two schedules of a release: the manifest's, then the image's. */
export function schedulesOf(
  { image, manifest }: PackedRelease,
  { key, iv }: SessionInput["keys"],
  times: { readonly manifestAtMs: number; readonly imageAtMs: number },
): Schedule[] {
  const of = (shape: PackedShape, updateAtMs: number, ownIv: Uint8Array): Schedule => ({
    updateAtMs,
    name: octetsOf(shape.content.name),
    mtuBytes: shape.mtuBytes,
    encType: ENC_TYPE[shape.content.encType],
    key,
    iv: ownIv,
  });
  return [of(manifest, times.manifestAtMs, manifestIv(iv)), of(image, times.imageAtMs, iv)];
}

/** Asks a device that was not heard: it says where it stands, or fetches what it misses. `ASK_FSEQS` numbers of its channel. */
export function askDevice(
  release: PackedRelease,
  keys: SessionInput["keys"],
  { to, crypto }: { readonly to: NumberedChannel; readonly crypto: ZmeshCrypto },
): SealedCommand[] {
  const schedules = schedulesOf(release, keys, { manifestAtMs: AT_ONCE, imageAtMs: AT_ONCE });
  return schedules.map((schedule, i) =>
    sealed(to, i, { command: { kind: "schedule", schedule }, repeats: DEVICE_REPEATS, crypto }),
  );
}

/** One command in the first number of a channel. */
export function commandFor(
  to: NumberedChannel,
  command: DeviceCommand,
  options: { isGroup: boolean; crypto: ZmeshCrypto },
): SealedCommand {
  const repeats = options.isGroup ? GROUP_REPEATS : DEVICE_REPEATS;
  return sealed(to, 0, { command, repeats, crypto: options.crypto });
}

interface Times {
  readonly manifestAtMs: number;
  readonly imageAtMs: number;
}

function timesOf({ plan, release, devices }: SessionInput): Times {
  const { rateBps } = plan.gateway;
  const startMs = plan.windows[0]?.fromMs ?? 0;
  const frames = GROUP_REPEATS * 2 + devices.reduce((sum, device) => sum + DEVICE_REPEATS * deviceFseqs(device), 0);
  // The frames of one channel are apart; those of the others fit between.
  const rounds = devices.reduce((most, one) => Math.max(most, DEVICE_REPEATS * deviceFseqs(one)), 2 * GROUP_REPEATS);
  const commandsMs = 2 * frames * airtimeMs(SCHEDULE_BYTES, rateBps) + rounds * COMMAND_SPACING_MS;
  const manifestAtMs = Math.ceil(startMs + commandsMs + SLACK_MS);
  const { dataCount, payloadBytes } = release.manifest.content;
  const packetMs = Math.max(release.gapMs, airtimeMs(payloadBytes, rateBps));
  const manifestMs = (dataCount * 1.5 + 20) * packetMs + Math.min(POLL_SLOTS_MS, (plan.deviceCount + 16) * 40);
  return { manifestAtMs, imageAtMs: Math.ceil(manifestAtMs + manifestMs + SLACK_MS) };
}

/** Between the repetitions of one frame. */
const COMMAND_SPACING_MS = 200;

function commandsOf(
  { release, keys, group, isForGroup, devices }: SessionInput,
  times: Times,
  crypto: ZmeshCrypto,
): SealedCommand[] {
  const schedules = schedulesOf(release, keys, times);
  const commands: SealedCommand[] = [];
  for (const device of devices) {
    let offset = 0;
    const add = (command: DeviceCommand) => {
      commands.push(sealed(device, offset, { command, repeats: DEVICE_REPEATS, crypto }));
      offset += 1;
    };
    if (device.mustJoin) add({ kind: "join", join: { ...group.channel, lastFseq: group.firstFseq - 1 } });
    if (device.isScheduledAlone) for (const schedule of schedules) add({ kind: "schedule", schedule });
  }
  if (isForGroup)
    for (const [i, schedule] of schedules.entries())
      commands.push(sealed(group, i, { command: { kind: "schedule", schedule }, repeats: GROUP_REPEATS, crypto }));
  return commands;
}

function sealed(
  { channel, firstFseq }: NumberedChannel,
  offset: number,
  {
    command,
    repeats,
    crypto,
  }: { readonly command: DeviceCommand; readonly repeats: number; readonly crypto: ZmeshCrypto },
): SealedCommand {
  const fseq = firstFseq + offset;
  const payload = toHex(sealCommand({ ...channel, crypto }, fseq, command));
  return { name: toHex(channel.name), fseq, payload, repeats, spacingMs: COMMAND_SPACING_MS };
}

const partOf = (
  { content }: PackedShape,
  updateAtMs: number,
  { gapMs, commands }: { readonly gapMs: number; readonly commands: readonly SealedCommand[] },
): BroadcastPart => ({ content, updateAtMs, gapMs, commands: [...commands], usesRepair: true });

/** Of hex digits that we wrote ourselves. */
function octetsOf(hex: string): Uint8Array {
  return Uint8Array.from({ length: hex.length / 2 }, (_, i) => Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16));
}
