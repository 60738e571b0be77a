/** What the wizard proposes until somebody writes their own: waves and criteria that suit how many devices there are. */
import { type CampaignDraft, newCriterion, newWave } from "./draft.ts";

/** Few enough to be looked at one by one. */
const MOST_CANARIES = 5;
/** Fewer are nobody's rate. */
const JUDGED_FROM_COUNT = 20;
/** From so many on a tenth of them is more than the canaries were. */
const TENTH_FROM_COUNT = 50;

/** A quarter of a small fleet: what was learnt from those is worth something to the others. */
const quarterOf = (deviceCount: number): number => Math.ceil(deviceCount / 4);

/**
 * A careful beginning: a few, a tenth where that is more, the rest; it pauses when one in twenty ends badly.
 *
 * @param deviceCount Undefined or 0 = not known yet: as for a large fleet.
 */
export function proposalFor(deviceCount: number | undefined): Pick<CampaignDraft, "waves" | "criteria"> {
  const count = deviceCount === undefined || deviceCount === 0 ? Number.POSITIVE_INFINITY : deviceCount;
  const canaries = Math.min(MOST_CANARIES, quarterOf(count));
  return {
    // The keys stay, though the proposal is made anew: who is in a field stays in it.
    waves: [
      newWave({ key: "canaries", name: "canaries", share: "count", size: `${canaries}`, successPercent: "100" }),
      ...(count < TENTH_FROM_COUNT ? [] : [newWave({ key: "tenth", name: "tenth" })]),
      newWave({ key: "rest", name: "rest", share: "remaining", size: "", soak: "0s" }),
    ],
    criteria: [newCriterion({ key: "first", minimumExecuted: `${leastJudged(deviceCount)}` })],
  };
}

/** How many have to end before a share of them says anything. */
export const leastJudged = (deviceCount: number | undefined): number =>
  deviceCount === undefined || deviceCount === 0
    ? JUDGED_FROM_COUNT
    : Math.min(JUDGED_FROM_COUNT, quarterOf(deviceCount));

/** The draft with what is proposed in it as it suits so many devices. */
export function suited(draft: CampaignDraft, deviceCount: number | undefined): CampaignDraft {
  const { proposed = [] } = draft;
  if (proposed.length === 0) return draft;
  const proposal = proposalFor(deviceCount);
  return { ...draft, ...Object.fromEntries(proposed.map((member) => [member, proposal[member]])) };
}

/** What somebody writes themselves is proposed no more. */
export const ownChange = ({ proposed = [] }: CampaignDraft, change: Partial<CampaignDraft>): Partial<CampaignDraft> =>
  proposed.some((member) => member in change)
    ? { ...change, proposed: proposed.filter((member) => !(member in change)) }
    : change;

/** What the wizard begins with. */
export const emptyDraft = (timeZone: string): CampaignDraft => ({
  name: "",
  image: "",
  query: "",
  isContinuous: false,
  ...proposalFor(undefined),
  proposed: ["waves", "criteria"],
  inFlight: "1000",
  startsPerMinute: "",
  downloadCron: "",
  downloadFor: "8h",
  applyCron: "",
  applyFor: "2h",
  timeZone,
  needsApproval: false,
  mayDowngrade: false,
  mayBeDelta: false,
  rollbackImage: "",
});
