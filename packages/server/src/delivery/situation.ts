/** What a report is judged by: how far the update is, and what may still be tried. */
import { compareVersions } from "@airlift/protocol/image/version";
import type { UpdateOrder, UpdateSnapshot } from "./driver-messages.ts";
import { packageOf } from "./package-choice.ts";
import type { UpdatePolicy } from "./policy.ts";
import { type DeviceReport, runningVersion, type Situation } from "./report.ts";
import { canGoOn } from "./transfer-steps.ts";

/** Requests to install, before a device that is busy each time counts as unable to. */
const EXECUTE_COUNT = 40;

export interface SituationFacts {
  readonly order: UpdateOrder;
  readonly policy: UpdatePolicy;
  readonly snapshot: UpdateSnapshot;
  /** There is a way on which this device can get the image. */
  readonly canDeliver: boolean;
  readonly pushRunning: boolean;
  /** The last push broke off without an answer. */
  readonly pushBroke: boolean;
}

export function situationOf(report: DeviceReport, facts: SituationFacts): Situation {
  const { order, policy, snapshot, canDeliver, pushRunning, pushBroke } = facts;
  const { transferCount, executeCount, acknowledgedBytes, resultBefore } = snapshot;
  const running = runningVersion(report);
  const isVersion = (version: string | null): boolean =>
    running !== null && version !== null && compareVersions(running, version) === 0;
  return {
    state: snapshot.state,
    isTargetVersion: isVersion(order.imageVersion),
    isVersionBefore: isVersion(snapshot.versionBefore),
    canDeliver,
    transferStarted: snapshot.transferStarted,
    pulling: snapshot.choice?.kind === "pull",
    isDelta: Boolean(snapshot.packageChoice?.delta) && snapshot.deltaRefusal === null,
    pushRunning,
    transfersLeft: transferCount < policy.transferAttemptCount,
    installsLeft: executeCount < policy.transferAttemptCount,
    requestsLeft: executeCount < EXECUTE_COUNT,
    wasAsked: executeCount > 0,
    mayResume: pushBroke && canGoOn(snapshot) && snapshot.resumeCount < policy.pushResumeCount,
    staleResult: acknowledgedBytes >= packageOf(order, snapshot).sizeBytes ? null : resultBefore,
    applyWanted: snapshot.apply,
  };
}
