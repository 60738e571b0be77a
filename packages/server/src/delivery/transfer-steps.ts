/** How an update's snapshot goes on with its transfer: each function takes one and returns the next. */
import type { DeliveryChoice } from "./delivery-choice.ts";
import type { UpdateSnapshot } from "./driver-messages.ts";
import { type DeviceReport, runningVersion } from "./report.ts";

/** Remembers how the device stood before anything was asked of it. */
export function withBefore(snapshot: UpdateSnapshot, report: DeviceReport | undefined): UpdateSnapshot {
  const version = report && runningVersion(report);
  return {
    ...snapshot,
    versionBefore: version ?? snapshot.versionBefore,
    resultBefore: report?.firmware?.result ?? null,
  };
}

/** A transfer from the first octet on. */
export function withTransfer(snapshot: UpdateSnapshot, report: DeviceReport | undefined): UpdateSnapshot {
  return {
    ...withBefore(snapshot, report),
    transferCount: snapshot.transferCount + 1,
    transferStarted: false,
    acknowledgedBytes: 0,
    resumeCount: 0,
  };
}

/** A transfer that goes on where the last one broke off. */
export function withResumption(snapshot: UpdateSnapshot): UpdateSnapshot {
  return { ...snapshot, resumeCount: snapshot.resumeCount + 1, transferStarted: false };
}

/** Power cuts and lost links cost time, not the update, as long as each attempt gets further than all before. */
export function withProgress(snapshot: UpdateSnapshot, acknowledgedBytes: number): UpdateSnapshot {
  const { furthestBytes, transferCount } = snapshot;
  const isFurther = acknowledgedBytes > furthestBytes;
  return {
    ...snapshot,
    acknowledgedBytes,
    ...(isFurther && { furthestBytes: acknowledgedBytes, transferCount: Math.min(transferCount, 1) }),
  };
}

/** The whole image is another file, whose transfers are counted anew. */
export function withRefusal(snapshot: UpdateSnapshot, deltaRefusal: number): UpdateSnapshot {
  return {
    ...snapshot,
    deltaRefusal,
    transferStarted: false,
    transferCount: 0,
    acknowledgedBytes: 0,
    furthestBytes: 0,
  };
}

/** The package as text, for a device that refused octets; `undefined` when it cannot be sent in another form. */
export function asText(snapshot: UpdateSnapshot): UpdateSnapshot | undefined {
  const { choice, transferCount } = snapshot;
  if (choice?.kind !== "push" || choice.encoding !== undefined) return undefined;
  // What was refused at its first block is no attempt of its own.
  return { ...snapshot, choice: { kind: "push", encoding: "base64" }, transferCount: transferCount - 1 };
}

/** A device that refused octets once would refuse them again. */
export function withChoice(snapshot: UpdateSnapshot, choice: DeliveryChoice): UpdateSnapshot {
  const before = snapshot.choice;
  return { ...snapshot, choice: choice.kind === "push" && before?.kind === "push" ? before : choice };
}

/** Octets of text are not those of the image, so a push of text starts over. */
export function canGoOn({ choice, acknowledgedBytes }: UpdateSnapshot): boolean {
  return acknowledgedBytes > 0 && choice?.kind === "push" && choice.encoding === undefined;
}
