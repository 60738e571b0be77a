/** What a start of the device makes of the two slots. */
import type { ImageCrypto } from "@airlift/protocol/image/crypto-port";
import { EnvironmentError } from "@airlift/protocol/lib/errors";
import type { SlotFiles } from "../ports.ts";
import { moveDecoded } from "./slot-decode.ts";
import { decodedName, imageName, withoutDownload } from "./slot-download.ts";
import { isIntact } from "./slot-image.ts";
import { otherSlot, type SlotName, type SlotRecord, type SlotRecordStore } from "./slot-record.ts";

export interface BootReport {
  readonly slot: SlotName;
  /**
   * `unchanged` the active image · `trial` the new one, until it is confirmed or the device starts again ·
   * `postponed` the medium refuses to take down that a new one is tried · `fellBack` the new one was not confirmed · `refused` the new one is no longer what was verified, it never ran ·
   * `rescued` the active image is damaged, the other slot's still whole and its security counter not too low ·
   * `forgot` the record was lost, the slots count as empty.
   */
  readonly outcome: "unchanged" | "trial" | "postponed" | "fellBack" | "refused" | "rescued" | "forgot";
}

/**
 * Chooses the slot that runs now; a trial is made durable before it runs. An image whose octets have changed
 * since they were verified never runs.
 *
 * @throws {EnvironmentError} `NO_BOOTABLE_IMAGE`, `FILE_SYSTEM`.
 */
export async function bootSlots(files: SlotFiles, records: SlotRecordStore, crypto: ImageCrypto): Promise<BootReport> {
  const found = await records.load();
  await moveDecodedIfPossible(files, records);
  const intact = async (slot: SlotName): Promise<boolean> => {
    const content = records.record.contents[slot];
    return content !== undefined && isIntact(files, { slot, content }, crypto);
  };
  const { active, trial } = records.record;
  if (trial === "next" && (await intact(otherSlot(active)))) {
    // What was not written down as tried must not run: a start that follows could not tell that it failed.
    if (await records.changeIfPossible((record) => ({ ...record, trial: "running" }))) {
      return { slot: otherSlot(active), outcome: "trial" };
    }
    await records.changeIfPossible(({ trial: _later, ...record }) => ({
      ...record,
      update: { ...record.update, state: "downloaded", result: "failed" },
    }));
    return { slot: active, outcome: "postponed" };
  }
  const isActiveLost = records.record.contents[active] !== undefined && !(await intact(active));
  // A new image that has not proved itself is worth more than none: it is not forgotten before its turn has come.
  if (trial && !isActiveLost) {
    const result = trial === "next" ? "integrityFailed" : "failed";
    await records.changeIfPossible(({ trial: _over, ...record }) => forgetUpdate(record, result));
  }
  if (isActiveLost) {
    const { contents, securityCounter } = records.record;
    const isTooOld = (contents[otherSlot(active)]?.securityCounter ?? 0) < securityCounter;
    if (isTooOld || !(await intact(otherSlot(active)))) {
      throw new EnvironmentError("NO_BOOTABLE_IMAGE", "neither slot holds a whole image that may run");
    }
    await records.changeIfPossible(rescue);
    return { slot: otherSlot(active), outcome: "rescued" };
  }
  await settle(files, records);
  if (trial) return { slot: active, outcome: trial === "next" ? "refused" : "fellBack" };
  return { slot: active, outcome: found === "damaged" ? "forgot" : "unchanged" };
}

/** A medium that refuses leaves the package where the image should be, which does not boot; the active image does. */
async function moveDecodedIfPossible(files: SlotFiles, records: SlotRecordStore): Promise<void> {
  try {
    await moveDecoded(files, records.record);
  } catch (error) {
    if (!(error instanceof EnvironmentError)) throw error;
  }
}

/** Makes the update's state say what the slots hold; costs a write only where it does not. */
async function settle(files: SlotFiles, records: SlotRecordStore): Promise<void> {
  const { update, download, active } = records.record;
  const name = imageName(otherSlot(active));
  const isStored = download !== undefined && (await sizeOf(files, name)) >= download.offset;
  const isWhole = isStored && download.isComplete;
  if (update.state === "updating") {
    // The power went after the server was told and before the switch: the image can be installed again.
    await records.changeIfPossible((record) =>
      isWhole
        ? { ...record, update: { ...update, state: "downloaded", result: "failed" } }
        : forgetUpdate(record, "failed"),
    );
  } else if (update.state === "downloaded" && !isWhole) {
    await records.changeIfPossible((record) => forgetUpdate(record, "integrityFailed"));
  } else if (download && (update.state === "idle" || !isStored)) {
    await files.unlink(name);
    await files.unlink(decodedName(otherSlot(active)));
    await records.changeIfPossible(withoutDownload);
  }
}

function forgetUpdate(record: SlotRecord, result: "failed" | "integrityFailed"): SlotRecord {
  return { ...withoutDownload(record), update: { ...record.update, state: "idle", result } };
}

/** The other slot takes over; what was under way is over. */
function rescue({ trial: _over, ...record }: SlotRecord): SlotRecord {
  return forgetUpdate({ ...record, active: otherSlot(record.active) }, "failed");
}

async function sizeOf(files: SlotFiles, name: string): Promise<number> {
  const file = await files.open(name, "read");
  if (!file) return -1;
  try {
    return await file.sizeBytes();
  } finally {
    await file.close();
  }
}
