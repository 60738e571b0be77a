/** What a decision about one device makes of its target. */
import type { Admission, PermitReview } from "./admission.ts";
import type { Candidate } from "./device.ts";
import { moveTarget, type Target } from "./target.ts";

/** The target of a device that was admitted, or was not. */
export function admitted({ target, device }: Candidate, admission: Admission): Target {
  const { sentence } = admission;
  switch (admission.kind) {
    case "begin":
      return moveTarget(target, "begin", { sentence, imageId: admission.image.id, cell: device.cell });
    case "wait":
      return moveTarget(target, target.isUnderWay ? "hold" : "defer", { sentence, notBeforeMs: admission.untilMs });
    case "apply":
      return moveTarget(target, "apply", { sentence, notBeforeMs: admission.untilMs });
    default:
      return moveTarget(target, admission.kind, { sentence });
  }
}

/** The target of a device whose permit to apply was looked at again. */
export function reviewed(target: Target, review: PermitReview): Target {
  const notBeforeMs = review.untilMs;
  if (review.kind === "keep") return { ...target, notBeforeMs };
  const isLate = target.state === "applying" || target.state === "confirming";
  return moveTarget(target, "withdraw", { sentence: isLate ? target.sentence : review.sentence, notBeforeMs });
}
