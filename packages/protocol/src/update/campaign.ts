/** The words for a campaign and its waves, in the store, the API, the console and the command line. */
import { FAILURE_KINDS } from "./device-update.ts";

/** Where a campaign stands. The last three are final. */
export const CAMPAIGN_STATES = [
  "draft",
  "awaitingApproval",
  "ready",
  "running",
  "paused",
  "finished",
  "stopped",
  "aborted",
] as const;

export type CampaignState = (typeof CAMPAIGN_STATES)[number];

/** Where a wave stands. Devices of a soaking or passed wave that have not ended go on. */
export const WAVE_STATES = ["waiting", "running", "soaking", "paused", "passed", "failed"] as const;

export type WaveState = (typeof WAVE_STATES)[number];

/** What a criterion may count: a kind of failure, `failed` for all of them together, or one of the other bad ends. */
export const CRITERION_OUTCOMES = ["failed", "silent", "fellBack", ...FAILURE_KINDS] as const;

export type CriterionOutcome = (typeof CRITERION_OUTCOMES)[number];

/** What a criterion does when it is met. `startRollback` aborts the campaign as well. */
export const CRITERION_ACTIONS = ["pauseWave", "pauseCampaign", "abort", "startRollback"] as const;

export type CriterionAction = (typeof CRITERION_ACTIONS)[number];

/** What an operator may tell a campaign. */
export const CAMPAIGN_COMMANDS = [
  "submit",
  "approve",
  "reject",
  "start",
  "pause",
  "resume",
  "stop",
  "abort",
  "rollback",
] as const;

export type CampaignCommand = (typeof CAMPAIGN_COMMANDS)[number];

/** Why a device of a campaign is not updated. */
export const EXCLUSION_REASONS = [
  "alreadyRuns",
  "otherModel",
  "otherHardware",
  "downgrade",
  "noSteppingStone",
  "loop",
  "windowNeverOpens",
] as const;

export type ExclusionReason = (typeof EXCLUSION_REASONS)[number];
