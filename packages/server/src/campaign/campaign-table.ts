/** The lives of a campaign and of one of its waves as tables. Who takes the arrows: campaign-step. */
import type { Arrow, Table } from "@airlift/protocol/machine/table";
import type { CampaignState, WaveState } from "@airlift/protocol/update/campaign";

/**
 * `submit` needs approval, `submitReady` does not; `finish` and `abort` may come from the rules themselves; `reopen`: a rollback that was
 * through has more to roll back.
 */
export type CampaignEvent =
  | "submit"
  | "submitReady"
  | "approve"
  | "reject"
  | "start"
  | "pause"
  | "resume"
  | "stop"
  | "abort"
  | "rollback"
  | "finish"
  | "reopen";

/** What follows for the campaign's parts. */
export type CampaignAction = "startFirstWave" | "resumeWaves" | "cancelTargets" | "startRollback";

type CampaignArrow = Arrow<CampaignState, CampaignAction, undefined>;

const to = (state: CampaignState, ...actions: CampaignAction[]): CampaignArrow => ({
  to: state,
  actions,
  extra: undefined,
});

const ends = { stop: to("stopped", "cancelTargets"), abort: to("aborted", "cancelTargets") } as const;
const rollback = to("aborted", "cancelTargets", "startRollback");

export const CAMPAIGN: Table<CampaignState, CampaignEvent, CampaignAction, undefined> = {
  draft: { submit: to("awaitingApproval"), submitReady: to("ready"), stop: ends.stop },
  awaitingApproval: { approve: to("ready"), reject: to("draft"), stop: ends.stop },
  ready: { start: to("running", "startFirstWave"), reject: to("draft"), stop: ends.stop },
  running: { pause: to("paused"), resume: to("running", "resumeWaves"), finish: to("finished"), rollback, ...ends },
  paused: { resume: to("running", "resumeWaves"), rollback, ...ends },
  finished: { rollback: to("finished", "startRollback"), reopen: to("running") },
  stopped: { rollback: to("stopped", "startRollback") },
  aborted: { rollback: to("aborted", "startRollback") },
};

export const FINAL_CAMPAIGN_STATES: readonly CampaignState[] = ["finished", "stopped", "aborted"];

/**
 * `succeeded`: enough devices did; `fallenShort`: enough can no longer do; `soaked`: the soak time is over;
 * `accept`: the operator goes on in spite of it.
 */
export type WaveEvent =
  | "start"
  | "succeeded"
  | "succeededAtOnce"
  | "fallenShort"
  | "soaked"
  | "pause"
  | "resume"
  | "accept";

/** What follows from a wave's arrow. */
export type WaveAction = "beginSoak" | "startNextWave" | "pauseCampaign" | "forgive";

const wave = (state: WaveState, ...actions: WaveAction[]): Arrow<WaveState, WaveAction, undefined> => ({
  to: state,
  actions,
  extra: undefined,
});

export const WAVE: Table<WaveState, WaveEvent, WaveAction, undefined> = {
  waiting: { start: wave("running") },
  running: {
    succeeded: wave("soaking", "beginSoak"),
    succeededAtOnce: wave("passed", "startNextWave"),
    fallenShort: wave("failed", "pauseCampaign"),
    pause: wave("paused"),
  },
  soaking: { soaked: wave("passed", "startNextWave"), pause: wave("paused") },
  paused: { resume: wave("running", "forgive") },
  failed: { accept: wave("passed", "forgive", "startNextWave") },
  passed: {},
};
