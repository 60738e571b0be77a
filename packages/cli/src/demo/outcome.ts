/** What came of the demo: a verdict on each device, and the table that is left to read. */
import type { MeshSession } from "@airlift/protocol/api/mesh";
import type { Device, Update } from "@airlift/protocol/api/schemas";
import { subBandNamed } from "@airlift/protocol/zmesh/regions";
import { table } from "../text.ts";
import { CAST, type CastMember } from "./cast.ts";
import { FIRMWARE_BYTES, JOINT_VERSION } from "./images.ts";
import type { JointOutcome } from "./joint-campaign.ts";
import { RECEIVER_LOSS, RECEIVERS } from "./mesh.ts";
import type { PowerCut } from "./rollout.ts";

export interface Outcome {
  readonly refusals: readonly Update[];
  readonly updates: readonly Update[];
  readonly joint: JointOutcome;
  /** At the end of all. */
  readonly inventory: readonly Device[];
  readonly cut: PowerCut;
}

interface Line {
  readonly cells: readonly string[];
  readonly verdict: string;
}

/** One line for each device that is asked by itself, and one for all receivers to which the same happened. */
export function linesOf(outcome: Outcome): Line[] {
  const versions = new Map(outcome.inventory.map(({ endpoint, version }) => [endpoint, version ?? "-"]));
  const lines = CAST.map((member, index): Line => {
    const { endpoint, way } = member;
    const refusal = outcome.refusals[index];
    const forged = refusal?.failure === "integrityFailed" ? "refused, Result 5" : (refusal?.state ?? "-");
    const joint = outcome.joint.updates.get(endpoint);
    const states = [outcome.updates[index]?.state ?? "-", joint?.state ?? "-", versions.get(endpoint) ?? "-"];
    return { cells: [endpoint, way, forged, ...states], verdict: judge(member, outcome, index) };
  });
  const heard = RECEIVERS.map((endpoint) => {
    const joint = outcome.joint.updates.get(endpoint);
    const version = versions.get(endpoint) ?? "-";
    return { endpoint, state: joint?.state ?? "-", version, verdict: verdictOnReceiver(joint, version) };
  });
  const way = `broadcast, ${RECEIVER_LOSS * 100} % loss`;
  for (const alike of Map.groupBy(heard, ({ state, version, verdict }) => `${state} ${version} ${verdict}`).values()) {
    const [{ endpoint, state, version, verdict }] = alike as [(typeof heard)[number]];
    const name = alike.length === 1 ? endpoint : `${alike.length} mesh devices`;
    lines.push({ cells: [name, way, "-", "-", state, version], verdict });
  }
  return lines;
}

export function tableOf(lines: readonly Line[]): string {
  const titles = ["DEVICE", "HOW", "FORGED IMAGE", "ONE BY ONE", "CAMPAIGN", "RUNS", "VERDICT"];
  return table(
    titles,
    lines.map(({ cells, verdict }) => [...cells, verdict]),
  );
}

/** What the broadcast took: "847 packets (1.02 for each of the image's) in 9.7 s of air; the law allows 36.0 s in each hour". */
export function airSentence(sessions: readonly MeshSession[], band: string): string {
  const limit = subBandNamed(band)?.limit;
  const tallies = sessions.flatMap(({ progress }) => progress?.tallies ?? []);
  const packets = tallies.reduce((sum, { dataCount, repairCount }) => sum + dataCount + repairCount, 0);
  const airtimeMs = sessions.reduce((sum, { progress }) => sum + (progress?.airtimeMs ?? 0), 0);
  const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;
  const law =
    limit === undefined ? "" : `; the law allows ${seconds(limit.budgetMs)} in each ${seconds(limit.windowMs)}`;
  return `${packets} packets in ${seconds(airtimeMs)} of air for ${RECEIVERS.length} devices${law}`;
}

function verdictOnReceiver(update: Update | undefined, version: string): string {
  if (update?.state !== "succeeded") return `not updated: ${update?.sentence ?? "no update was begun"}`;
  if (update.method !== "broadcast") return `updated by ${update.method}`;
  return version === JOINT_VERSION ? "ok" : `runs ${version}`;
}

/** "ok", or what is not as it should be. */
function judge(member: CastMember, outcome: Outcome, index: number): string {
  const { endpoint, method, losesPower } = member;
  const refusal = outcome.refusals[index];
  const update = outcome.updates[index];
  const device = outcome.inventory.find((one) => one.endpoint === endpoint);
  if (refusal?.failure !== "integrityFailed") return `did not refuse the forged image: ${refusal?.sentence}`;
  if (update?.state !== "succeeded") return `not updated: ${update?.sentence}`;
  if (update.method !== method) return `updated by ${update.method}`;
  const joint = outcome.joint.updates.get(endpoint);
  if (joint?.state !== "succeeded") return `not updated by the campaign: ${joint?.sentence}`;
  if (device?.version !== JOINT_VERSION || device.firmware?.result !== 1) return `runs ${device?.version}`;
  if (!losesPower) return "ok";
  const { story } = outcome.cut;
  if (story === undefined) return "its power was never cut";
  // What was not yet safe on its flash is fetched again: at most 64 KiB and what was under way.
  const isResumed = story.resumedAtBytes > story.cutAtBytes - 128 * 1024 && story.resumedAtBytes > 0.2 * FIRMWARE_BYTES;
  return isResumed ? "ok" : `started over at ${story.resumedAtBytes} instead of going on`;
}
