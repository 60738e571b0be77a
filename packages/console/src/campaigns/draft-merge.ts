/** Two people edit one draft: what each has changed, and both together. A member of the spec is the least that is told apart. */
import type { NewCampaign } from "@airlift/protocol/api/campaign";
import { type CampaignDraft, specOf } from "./draft.ts";

/** The members of a spec that have fields, what people call them, and those fields. */
const MEMBERS = {
  name: ["Name", ["name"]],
  image: ["Image", ["image"]],
  targets: ["Devices", ["query", "isContinuous"]],
  waves: ["Waves", ["waves"]],
  criteria: ["Criteria", ["criteria"]],
  caps: ["Pace", ["inFlight", "startsPerMinute"]],
  windows: ["Windows", ["downloadCron", "downloadFor", "applyCron", "applyFor"]],
  timeZone: ["Time zone", ["timeZone"]],
  approval: ["Approval", ["needsApproval"]],
  downgrade: ["Lower versions", ["mayDowngrade"]],
  delta: ["Deltas", ["mayBeDelta"]],
  rollback: ["Rollback", ["rollbackImage"]],
} as const satisfies Partial<Record<keyof NewCampaign, readonly [string, readonly (keyof CampaignDraft)[]]>>;

export type Member = keyof typeof MEMBERS;

export const labelOf = (member: Member): string => MEMBERS[member][0];

/** A member in a few words. */
export function memberText(draft: CampaignDraft, member: Member): string {
  if (member === "targets") return `${draft.query}${draft.isContinuous ? ", and those that come to match later" : ""}`;
  if (member === "waves") return draft.waves.map(waveText).join("; ");
  if (member === "approval") return draft.needsApproval ? "needed" : "not needed";
  if (member === "downgrade") return draft.mayDowngrade ? "allowed" : "not allowed";
  if (member === "delta") return draft.mayBeDelta ? "sent where there are some" : "not sent";
  const value = specOf(draft)[member];
  return typeof value === "string" ? value : value === undefined ? "none" : JSON.stringify(value);
}

function waveText({ name, share, size, successPercent, soak }: CampaignDraft["waves"][number]): string {
  const devices = { remaining: "the rest", query: size, count: `${size} devices`, percent: `${size} %` }[share];
  const success = successPercent === "" ? "" : `, ${successPercent} % successful`;
  return `${name}: ${devices}${success}, soaks ${soak}`;
}

export function changedMembers(from: CampaignDraft, to: CampaignDraft): readonly Member[] {
  const [before, after] = [specOf(from), specOf(to)];
  return (Object.keys(MEMBERS) as Member[]).filter(
    (member) => JSON.stringify(before[member]) !== JSON.stringify(after[member]),
  );
}

/** The body of a PATCH: what was changed, and nothing of what others may have changed; null takes a member away. */
export function editOf(from: CampaignDraft, to: CampaignDraft): Readonly<Record<string, unknown>> {
  const spec = specOf(to);
  return Object.fromEntries(changedMembers(from, to).map((member) => [member, spec[member] ?? null]));
}

export interface Versions {
  /** What both began with. */
  readonly base: CampaignDraft;
  readonly mine: CampaignDraft;
  readonly theirs: CampaignDraft;
}

/** Members that both have changed, each in another way. */
export function contested({ base, mine, theirs }: Versions): readonly Member[] {
  const [byMe, byThem] = [changedMembers(base, mine), changedMembers(base, theirs)];
  const differing = changedMembers(mine, theirs);
  return byMe.filter((member) => byThem.includes(member) && differing.includes(member));
}

/** Members that they have changed, and that have become other than what I have: what I am to be told of. */
export function newsOf({ base, mine, theirs }: Versions): readonly Member[] {
  const differing = changedMembers(mine, theirs);
  return changedMembers(base, theirs).filter((member) => differing.includes(member));
}

/** Theirs with what I alone have changed, and with those of the contested members that I keep. */
export function mergeDrafts(versions: Versions, kept: readonly Member[]): CampaignDraft {
  const { base, mine, theirs } = versions;
  const disputed = contested(versions);
  const ours = changedMembers(base, mine).filter((member) => !disputed.includes(member) || kept.includes(member));
  const fields = ours.flatMap((member): readonly (keyof CampaignDraft)[] => MEMBERS[member][1]);
  const carried = ours.filter((member) => member === "caps" || member === "windows" || member === "rollback");
  return {
    ...theirs,
    ...Object.fromEntries(fields.map((field) => [field, mine[field]])),
    carried: {
      ...theirs.carried,
      ...Object.fromEntries(carried.map((member) => [member, mine.carried?.[member]])),
    },
  };
}
