import assert from "node:assert/strict";
import { test } from "node:test";
import type { PullScheme } from "./delivery-choice.ts";
import {
  type DriverInput,
  type DriverOutput,
  newSnapshot,
  type UpdateOrder,
  type UpdateSnapshot,
} from "./driver-messages.ts";
import { DEFAULT_UPDATE_POLICY } from "./policy.ts";
import type { DeviceReport } from "./report.ts";
import { UpdateDriver } from "./update-driver.ts";

const ORDER: UpdateOrder = {
  updateId: "u1",
  endpoint: "pump-7",
  imageId: "0011223344556677",
  imageVersion: "1.1.0",
  totalBytes: 1000,
  by: "auto",
  target: { kind: "firmware" },
};

/** A driver under test: feeds inputs at a virtual time and keeps what came out. */
class Bench {
  readonly driver: UpdateDriver;
  nowMs = 0;
  /** How the device can reach us. */
  schemes: readonly PullScheme[] = ["coap", "http"];
  outputs: DriverOutput[] = [];
  /** What the device says that it is. */
  make: { manufacturer: string | null; model: string | null } = { manufacturer: null, model: null };

  constructor(order: Partial<UpdateOrder> = {}, snapshot: UpdateSnapshot = newSnapshot(true)) {
    this.driver = new UpdateDriver({ ...ORDER, ...order }, DEFAULT_UPDATE_POLICY, snapshot);
  }

  feed(input: DriverInput): string[] {
    this.outputs = this.driver.step(input, this.nowMs);
    return this.outputs.map((output) => (output.kind === "transition" ? output.event : output.kind));
  }

  /** Answers the newest look. */
  report(
    state: number,
    result: number,
    version = "1.0.0",
    more: Partial<NonNullable<DeviceReport["firmware"]>> = {},
  ): string[] {
    const firmware = {
      state,
      result,
      packageUri: null,
      packageName: null,
      packageVersion: null,
      protocols: null,
      deliveryMethod: 2,
      ...more,
    };
    return this.feed({
      kind: "report",
      look: this.#newestLook,
      schemes: this.schemes,
      report: { firmware, version, ...this.make, hardware: null },
    });
  }

  wake(): string[] {
    assert.ok(this.driver.wakeAtMs !== undefined, "nothing is due");
    this.nowMs = Math.max(this.nowMs, this.driver.wakeAtMs);
    return this.feed({ kind: "wake" });
  }

  get state(): string {
    return this.driver.snapshot.state;
  }

  get sentence(): string {
    const said = this.outputs.find((output) => output.kind === "transition");
    return said?.kind === "transition" ? said.sentence : "";
  }

  /** The newest look gets no answer. */
  noReport(): string[] {
    return this.feed({ kind: "report", look: this.#newestLook, report: undefined, schemes: [] });
  }

  #newestLook = 0;
  look(): void {
    for (const output of this.outputs) if (output.kind === "look") this.#newestLook = output.look;
  }
  act(input: DriverInput): string[] {
    const names = this.feed(input);
    this.look();
    return names;
  }
}

function transferring(order: Partial<UpdateOrder> = {}, apply = true): Bench {
  const bench = new Bench(order, newSnapshot(apply));
  bench.act({ kind: "start", registered: true });
  assert.deepEqual(bench.report(0, 0), ["ready", "startTransfer"]);
  return bench;
}

/** A pull that was accepted; the next look is open. */
function pulling(order: Partial<UpdateOrder> = {}, apply = true): Bench {
  const bench = transferring(order, apply);
  bench.act({ kind: "transferAnswered", outcome: "accepted" });
  bench.act({ kind: "notified" });
  return bench;
}

function applying(): Bench {
  const bench = pulling();
  assert.deepEqual(bench.report(2, 0), ["imageDownloaded", "execute"]);
  assert.deepEqual(bench.act({ kind: "executeAnswered", outcome: "accepted" }), ["executed"]);
  return bench;
}

test("a pull from the first look to the confirmation", () => {
  const bench = new Bench();
  assert.deepEqual(bench.act({ kind: "start", registered: true }), ["start", "appeared", "observe", "look"]);
  assert.deepEqual(bench.report(0, 0), ["ready", "startTransfer"]);
  assert.equal(bench.sentence, "told the device to fetch 1000 bytes over coap");
  assert.deepEqual(bench.act({ kind: "transferAnswered", outcome: "accepted" }), []);
  bench.act({ kind: "progress", acknowledgedBytes: 512 });
  assert.equal(bench.driver.snapshot.acknowledgedBytes, 512);
  assert.deepEqual(bench.act({ kind: "notified" }), ["look"]);
  assert.deepEqual(bench.report(2, 0), ["imageDownloaded", "execute"]);
  assert.deepEqual(bench.act({ kind: "executeAnswered", outcome: "accepted" }), ["executed"]);
  assert.deepEqual(bench.act({ kind: "registered" }), ["appeared", "observe", "look"]);
  assert.deepEqual(bench.report(0, 1, "1.1.0"), ["confirmed", "endObservation"]);
  assert.equal(bench.state, "succeeded");
  assert.equal(bench.driver.wakeAtMs, undefined);
});

test("lesson 3: whatever State a device shows during a push is no failure", () => {
  const bench = transferring({ by: "push" });
  bench.act({ kind: "notified" });
  assert.deepEqual(bench.report(0, 0), []);
  bench.act({ kind: "pushEnded", outcome: "accepted" });
  assert.deepEqual(bench.report(2, 0), ["imageDownloaded", "execute"]);
});

test("an image that the device refuses after the push fails with the device's own reason (Result 5)", () => {
  const bench = transferring({ by: "push" });
  bench.act({ kind: "pushEnded", outcome: "accepted" });
  bench.report(0, 5);
  assert.equal(bench.driver.snapshot.failure, "integrityFailed");
  assert.match(bench.sentence, /signed by a key it does not trust \(Update Result 5\)$/);
});

test("a device that takes this server for a stranger is asked again where it registers; nothing has been refused", () => {
  const bench = pulling();
  bench.report(2, 0);
  assert.equal(bench.state, "downloaded");
  assert.deepEqual(bench.act({ kind: "executeAnswered", outcome: "refused", code: "4.01" }), ["look"]);
  assert.deepEqual(bench.noReport(), ["unanswered"]);
  assert.equal(bench.state, "downloaded");
  assert.deepEqual(bench.act({ kind: "registered" }), ["appeared", "observe", "look"]);
  assert.deepEqual(bench.report(2, 0), ["imageDownloaded", "execute"]);
});

test("a transfer that was offered by a stranger is offered again", () => {
  const bench = transferring();
  assert.deepEqual(bench.act({ kind: "transferAnswered", outcome: "refused", code: "4.01" }), ["look"]);
  bench.noReport();
  bench.act({ kind: "registered" });
  assert.deepEqual(bench.report(0, 0), ["transferLost", "stopTransfer"]);
  assert.equal(bench.state, "waiting");
});

test("a server that may look but not order is refused (4.01)", () => {
  const transfer = transferring();
  transfer.act({ kind: "transferAnswered", outcome: "refused", code: "4.01" });
  transfer.report(0, 0);
  assert.equal(transfer.driver.snapshot.failure, "rejected");
  assert.equal(transfer.sentence, "failed: the device refused the transfer with 4.01");
  const execute = pulling();
  execute.report(2, 0);
  execute.act({ kind: "executeAnswered", outcome: "refused", code: "4.01" });
  assert.equal(execute.report(2, 0)[0], "executeRefused");
  assert.equal(execute.sentence, "failed: the device refused to apply the image with 4.01");
});

test("lesson 13: the old version after success is an outcome of its own", () => {
  const bench = applying();
  bench.act({ kind: "registered" });
  bench.report(0, 1, "1.0.0");
  assert.equal(bench.state, "fellBack");
});

test("the new version without Result 1 is not success; it is waited for, then given up", () => {
  const bench = applying();
  bench.act({ kind: "registered" });
  assert.deepEqual(bench.report(0, 0, "1.1.0"), ["outcomeUnclear"]);
  for (let wakes = 0; bench.state !== "failed" && wakes < 1000; wakes += 1) {
    bench.wake();
    bench.look();
    if (bench.state !== "failed") bench.report(0, 0, "1.1.0");
  }
  assert.equal(bench.driver.snapshot.failure, "timedOut");
});

test("a connection that the device lost is tried again, three times in all", () => {
  const bench = pulling();
  for (const attempt of [2, 3]) {
    bench.report(0, 4);
    assert.match(bench.sentence, new RegExp(`attempt ${attempt} of 3`));
    assert.deepEqual(bench.wake(), ["look"]);
    bench.look();
    assert.deepEqual(bench.report(0, 4), ["ready", "startTransfer"]);
    bench.act({ kind: "transferAnswered", outcome: "accepted" });
    bench.act({ kind: "notified" });
  }
  bench.report(0, 4);
  assert.equal(bench.driver.snapshot.failure, "connectionLost");
});

test("a transfer that gets further each time is given all its attempts anew: power cuts cost time, not the update", () => {
  const bench = pulling();
  for (let cut = 1; cut <= 9; cut += 1) {
    bench.act({ kind: "progress", acknowledgedBytes: cut * 100 });
    bench.report(0, 4);
    assert.match(bench.sentence, /attempt 2 of 3/);
    bench.wake();
    bench.look();
    bench.report(0, 4);
    bench.act({ kind: "transferAnswered", outcome: "accepted" });
    bench.act({ kind: "notified" });
  }
  assert.equal(bench.state, "transferring");
});

test("a device that fetches over HTTP alone, from where HTTP is not served, is pushed to", () => {
  const bench = new Bench();
  bench.act({ kind: "start", registered: true });
  bench.schemes = ["coap"];
  assert.deepEqual(bench.report(0, 0, "1.0.0", { protocols: [2] }), ["ready", "startTransfer"]);
  assert.deepEqual(bench.driver.snapshot.choice, { kind: "push" });
});

test("a device that comes back in mid-download goes on by itself", () => {
  const bench = pulling();
  bench.report(1, 0);
  assert.deepEqual(bench.act({ kind: "registered" }), ["appeared", "observe", "look"]);
  bench.report(1, 0);
  assert.equal(bench.state, "transferring");
});

test("an occupied device is reset in both forms before it is given up (lesson 10)", () => {
  const bench = new Bench();
  bench.act({ kind: "start", registered: true });
  const forms: string[] = [];
  while (bench.state === "waiting") {
    bench.report(2, 0);
    for (const output of bench.outputs) if (output.kind === "resetDevice") forms.push(output.form);
    if (bench.state === "waiting") bench.act({ kind: "resetAnswered", outcome: "accepted" });
  }
  assert.deepEqual(forms, ["emptyUri", "zeroPackage", "emptyUri", "zeroPackage"]);
  assert.equal(bench.driver.snapshot.failure, "rejected");
});

test("what was asked before the last request says nothing of its effect", () => {
  const bench = transferring();
  bench.act({ kind: "notified" });
  bench.act({ kind: "transferAnswered", outcome: "accepted" });
  assert.deepEqual(bench.report(0, 5), ["look"]);
  assert.equal(bench.state, "transferring");
});

test("lesson 2: the limit of a transfer moves with each acknowledged byte", () => {
  const bench = transferring();
  bench.act({ kind: "transferAnswered", outcome: "accepted" });
  for (let bytes = 1; bytes <= 100; bytes += 1) {
    bench.nowMs += DEFAULT_UPDATE_POLICY.stallTimeoutMs - 1;
    bench.act({ kind: "progress", acknowledgedBytes: bytes });
  }
  assert.equal(bench.state, "transferring");
  bench.nowMs += DEFAULT_UPDATE_POLICY.stallTimeoutMs;
  bench.act({ kind: "wake" });
  assert.equal(bench.sentence, "failed: no progress for 10 min at 100 of 1000 bytes");
});

test("lesson 14: a device that cannot be read says why in its timeline, once", () => {
  const bench = new Bench();
  bench.act({ kind: "start", registered: true });
  const unread = (look: number) =>
    bench.feed({ kind: "report", look, report: undefined, schemes: [], why: "the device does not answer" });
  assert.deepEqual(unread(1), ["unanswered"]);
  assert.equal(bench.sentence, "waiting: the device does not answer; asking again");
  bench.wake();
  assert.deepEqual(unread(2), []);
});

test("lesson 2: a device that asks for the same block for ever makes no progress", () => {
  const bench = transferring();
  bench.act({ kind: "transferAnswered", outcome: "accepted" });
  for (let minute = 0; bench.state === "transferring" && minute < 60; minute += 1) {
    bench.act({ kind: "progress", acknowledgedBytes: 512 });
    bench.nowMs += 60_000;
    bench.act({ kind: "wake" });
  }
  assert.equal(bench.sentence, "failed: no progress for 10 min at 512 of 1000 bytes");
});

test("a device that loses power in mid-download for hours is waited for, and goes on when it is back", () => {
  const bench = pulling();
  bench.report(1, 0);
  while (bench.nowMs < 12 * 3_600_000) {
    bench.wake();
    bench.look();
    bench.noReport();
  }
  assert.equal(bench.state, "transferring");
  bench.act({ kind: "registered" });
  bench.report(1, 0);
  bench.act({ kind: "progress", acknowledgedBytes: 768 });
  bench.act({ kind: "notified" });
  assert.deepEqual(bench.report(2, 0), ["imageDownloaded", "execute"]);
  assert.equal(bench.driver.snapshot.acknowledgedBytes, ORDER.totalBytes);
});

test("a device that is back but goes on with nothing has stalled", () => {
  const bench = pulling();
  bench.act({ kind: "unregistered" });
  bench.nowMs += DEFAULT_UPDATE_POLICY.stallTimeoutMs;
  assert.deepEqual(bench.act({ kind: "wake" }), []);
  bench.act({ kind: "registered" });
  bench.report(1, 0);
  bench.nowMs += DEFAULT_UPDATE_POLICY.stallTimeoutMs;
  bench.act({ kind: "wake" });
  assert.equal(bench.driver.snapshot.failure, "timedOut");
});

test("lesson 5: 4.08 and 5.03 in answer to a transfer are tried again, not fatal", () => {
  for (const [by, kind] of [
    ["push", "pushEnded"],
    ["pull", "transferAnswered"],
  ] as const) {
    for (const code of ["4.08", "5.03"]) {
      const bench = transferring({ by });
      assert.deepEqual(bench.act({ kind, outcome: "refused", code }), ["look"], `${by} ${code}`);
      bench.report(0, 0);
      assert.match(bench.sentence, /attempt 2 of 3/);
    }
  }
});

test("a push that cannot even begin is tried again, three times in all", () => {
  const bench = transferring({ by: "push" });
  assert.deepEqual(bench.act({ kind: "transferAnswered", outcome: "noAnswer" }), ["look"]);
  assert.deepEqual(bench.report(0, 0), ["transferLost", "stopTransfer"]);
});

test("lesson 5: a device too busy to install is asked again at the next look, not at once and not in vain", () => {
  const bench = pulling();
  bench.report(2, 0);
  assert.deepEqual(bench.act({ kind: "executeAnswered", outcome: "refused", code: "5.03" }), []);
  assert.deepEqual(bench.wake(), ["look"]);
  bench.look();
  assert.deepEqual(bench.report(2, 0).at(-1), "execute");
  assert.equal(bench.nowMs, DEFAULT_UPDATE_POLICY.pollIntervalMs);
});

test("a device that registers while it is being asked is asked anew, and its earlier answer counts no more", () => {
  const bench = applying();
  assert.deepEqual(bench.act({ kind: "notified" }), ["look"]);
  const { outputs } = bench;
  assert.deepEqual(bench.feed({ kind: "registered" }), ["appeared", "observe", "look"]);
  bench.outputs = outputs;
  bench.look();
  assert.deepEqual(bench.report(0, 8), []);
  assert.equal(bench.state, "confirming");
});

test("an update without apply holds the image until the command comes", () => {
  const bench = pulling({}, false);
  assert.deepEqual(bench.report(2, 0), ["imageHeld"]);
  assert.equal(bench.driver.wakeAtMs === undefined, false);
  assert.deepEqual(bench.act({ kind: "apply" }), ["apply", "execute"]);
});

test("a cancel stops the transfer, resets the device and ends the update; not once it installs", () => {
  const bench = pulling();
  assert.deepEqual(bench.act({ kind: "cancel" }), ["cancel", "stopTransfer", "resetDevice", "endObservation"]);
  const late = applying();
  assert.equal(late.driver.allows("cancel"), false);
});

test("a device that is never heard again is silent after the policy's time, not failed", () => {
  const bench = new Bench();
  bench.act({ kind: "start", registered: false });
  assert.equal(bench.driver.wakeAtMs, DEFAULT_UPDATE_POLICY.silentAfterMs);
  bench.wake();
  assert.equal(bench.state, "silent");
});

test("a device that registers in the middle of a push has forgotten it: the push is stopped and tried again", () => {
  const bench = transferring({ by: "push" });
  assert.deepEqual(bench.act({ kind: "registered" }), ["stopTransfer", "appeared", "observe", "look"]);
  bench.report(0, 0);
  assert.match(bench.sentence, /attempt 2 of 3/);
});

test("a restart of the server asks the device and goes on from what it says", () => {
  const snapshot = pulling().driver.snapshot;
  const bench = new Bench({}, JSON.parse(JSON.stringify(snapshot)));
  assert.deepEqual(bench.act({ kind: "start", registered: true }), ["appeared", "observe", "look"]);
  assert.deepEqual(bench.report(2, 0), ["imageDownloaded", "execute"]);
});

test("no answer is asked again, ever more rarely, up to every 15 minutes", () => {
  const bench = new Bench();
  bench.act({ kind: "start", registered: true });
  const gaps: number[] = [];
  for (let look = 1; look < 12; look += 1) {
    bench.feed({ kind: "report", look, report: undefined, schemes: [] });
    const before = bench.nowMs;
    bench.wake();
    gaps.push((bench.nowMs - before) / 1000);
  }
  assert.deepEqual(gaps, [30, 60, 120, 240, 480, 900, 900, 900, 900, 900, 900]);
});

test("an update of a device that sleeps is begun when it wakes up, and only then is anything observed", () => {
  const bench = new Bench();
  assert.deepEqual(bench.act({ kind: "start", registered: true, asleep: true }), ["start", "asleep"]);
  assert.deepEqual(bench.act({ kind: "awake" }), ["appeared", "observe", "look"]);
  assert.deepEqual(bench.report(0, 0), ["ready", "startTransfer"]);
});

test("a look that a sleeper does not answer is no news, and is not made again before it wakes up", () => {
  const bench = pulling();
  assert.deepEqual(bench.act({ kind: "asleep" }), ["asleep"]);
  assert.deepEqual(bench.noReport(), []);
  bench.nowMs += 3_600_000;
  assert.deepEqual(bench.act({ kind: "wake" }), []);
  assert.deepEqual(bench.act({ kind: "awake" }), ["awake", "look"]);
  assert.deepEqual(bench.report(2, 0), ["imageDownloaded", "execute"]);
});

const OFFERS = {
  manufacturer: "Example",
  model: "Pump",
  deltas: [{ id: "d1", baseVersion: "1.0.0", sizeBytes: 90 }],
};

/** A device that is asked what it is and runs, for an update that may send a delta. */
function offered(version: string, make: Partial<Bench["make"]> = {}, snapshot = newSnapshot(true)): Bench {
  const bench = new Bench({ offers: OFFERS }, snapshot);
  bench.make = { manufacturer: "Example", model: "Pump", ...make };
  bench.act({ kind: "start", registered: true });
  assert.deepEqual(bench.report(0, 0, version), ["ready", "startTransfer"]);
  return bench;
}

const sent = ({ outputs }: Bench): string | undefined => {
  const transfer = outputs.find((output) => output.kind === "startTransfer");
  return transfer?.kind === "startTransfer" ? transfer.packageId : undefined;
};

test("a delta is sent where one was asked for, to a device of its make that runs its base; else the image, and why", () => {
  const delta = offered("1.0.0");
  assert.equal(sent(delta), "d1");
  assert.equal(delta.sentence, "told the device to fetch 90 bytes over coap: the delta from 1.0.0, which it runs");
  const whole = [
    [offered("0.9.0"), "there is no delta from 0.9.0, which it runs"],
    [offered("1.0.0", { model: "Valve" }), "it does not say that it is Example Pump"],
    [offered("1.0.0", { manufacturer: null }), "it does not say that it is Example Pump"],
    [offered("1.0.0", {}, newSnapshot(true, 2)), "a delta is for the first attempt"],
  ] as const;
  for (const [bench, why] of whole) {
    assert.equal(sent(bench), ORDER.imageId);
    assert.equal(bench.sentence, `told the device to fetch 1000 bytes over coap: the whole image, as ${why}`);
  }
  const unasked = transferring();
  assert.equal(sent(unasked), ORDER.imageId);
  assert.equal(unasked.sentence, "told the device to fetch 1000 bytes over coap");
});

test("a device that has all of a delta is through with its transfer, and runs the image", () => {
  const bench = offered("1.0.0");
  bench.act({ kind: "transferAnswered", outcome: "accepted" });
  bench.act({ kind: "notified" });
  assert.deepEqual(bench.report(2, 0), ["imageDownloaded", "execute"]);
  assert.equal(bench.driver.snapshot.acknowledgedBytes, 90);
  bench.act({ kind: "executeAnswered", outcome: "accepted" });
  bench.act({ kind: "registered" });
  assert.deepEqual(bench.report(0, 1, "1.1.0"), ["confirmed", "endObservation"]);
});

test("a device that refuses a delta (Update Result 2, 3, 5, 6) gets the whole image at once; refusing that is its failure", () => {
  for (const result of [2, 3, 5, 6]) {
    const bench = offered("1.0.0");
    bench.act({ kind: "transferAnswered", outcome: "accepted" });
    bench.act({ kind: "progress", acknowledgedBytes: 90 });
    bench.act({ kind: "notified" });
    assert.deepEqual(bench.report(0, result), ["deltaRefused", "stopTransfer", "look"]);
    assert.match(
      bench.sentence,
      /^the device did not take the delta: .* \(Update Result \d\); sending it the whole image$/,
    );
    bench.look();
    assert.deepEqual(bench.report(0, result), ["ready", "startTransfer"]);
    assert.equal(sent(bench), ORDER.imageId);
    assert.match(bench.sentence, new RegExp(`the whole image, as it refused the delta with Update Result ${result}$`));
    bench.act({ kind: "transferAnswered", outcome: "accepted" });
    bench.act({ kind: "progress", acknowledgedBytes: 1000 });
    bench.act({ kind: "notified" });
    bench.report(0, result);
    assert.equal(bench.state, "failed");
  }
});

test("what else a device may fail of with a delta is its failure, and the same file goes on after a lost connection", () => {
  const bench = offered("1.0.0");
  bench.act({ kind: "transferAnswered", outcome: "accepted" });
  bench.act({ kind: "notified" });
  assert.equal(bench.report(0, 4)[0], "transferLost");
  bench.wake();
  bench.look();
  assert.deepEqual(bench.report(0, 4), ["ready", "startTransfer"]);
  assert.equal(sent(bench), "d1");
  bench.act({ kind: "transferAnswered", outcome: "accepted" });
  bench.act({ kind: "notified" });
  bench.report(0, 8);
  assert.equal(bench.state, "failed");
});

test("a server that starts again in the middle of a delta goes on with the delta", () => {
  const { snapshot } = offered("1.0.0").driver;
  const again = new Bench({ offers: OFFERS }, JSON.parse(JSON.stringify(snapshot)));
  again.act({ kind: "start", registered: true });
  assert.deepEqual(again.report(2, 0), ["imageDownloaded", "execute"]);
  assert.equal(again.driver.snapshot.acknowledgedBytes, 90);
});

/** An image that is held, and the device was then told to apply it. */
function askedToApply(): Bench {
  const bench = pulling({}, false);
  assert.deepEqual(bench.report(2, 0), ["imageHeld"]);
  assert.deepEqual(bench.act({ kind: "apply" }), ["apply", "execute"]);
  return bench;
}

test("a sleeper that was told to apply and not asked yet is told to wait, and is not asked when it wakes up", () => {
  const bench = askedToApply();
  bench.act({ kind: "executeAnswered", outcome: "noAnswer" });
  bench.act({ kind: "asleep" });
  assert.deepEqual(bench.act({ kind: "hold" }), ["hold"]);
  assert.equal(bench.state, "waitingToApply");
  assert.equal(bench.driver.snapshot.apply, false);
  assert.deepEqual(bench.act({ kind: "awake" }), ["awake", "look"]);
  assert.deepEqual(bench.report(2, 0), []);
  assert.deepEqual(bench.act({ kind: "apply" }), ["apply", "execute"]);
});

test("who is told to wait while it is being asked to apply may have heard it: what it reports next decides", () => {
  for (const [state, events, end] of [
    [2, ["imageHeld"], "waitingToApply"],
    [3, ["stillUpdating"], "applying"],
  ] as const) {
    const bench = askedToApply();
    assert.deepEqual(bench.act({ kind: "hold" }), ["holdLate", "withdrawExecute"]);
    assert.match(bench.sentence, /^told to wait while the device is being asked/);
    assert.deepEqual(bench.act({ kind: "hold" }), []);
    assert.deepEqual(bench.act({ kind: "executeAnswered", outcome: "noAnswer" }), ["look"]);
    assert.deepEqual(bench.report(state, 0), events);
    assert.equal(bench.state, end);
  }
  const taken = askedToApply();
  taken.act({ kind: "hold" });
  assert.deepEqual(taken.act({ kind: "executeAnswered", outcome: "accepted" }), ["executed"]);
  assert.equal(taken.state, "applying");
});

test("a device that installs is left to it, and is not asked again when it comes back with the image not installed", () => {
  const bench = applying();
  assert.deepEqual(bench.act({ kind: "hold" }), ["holdLate"]);
  assert.equal(bench.sentence, "told to wait, too late: the device was asked to apply before");
  bench.act({ kind: "registered" });
  assert.deepEqual(bench.report(2, 0), ["installHeld"]);
  assert.equal(bench.state, "waitingToApply");
});

test("a device that installs an image that it was told to hold is believed", () => {
  const bench = askedToApply();
  bench.act({ kind: "executeAnswered", outcome: "noAnswer" });
  bench.act({ kind: "hold" });
  bench.act({ kind: "notified" });
  assert.deepEqual(bench.report(3, 0), ["stillUpdating"]);
  const done = askedToApply();
  done.act({ kind: "executeAnswered", outcome: "noAnswer" });
  done.act({ kind: "hold" });
  done.act({ kind: "registered" });
  assert.deepEqual(done.report(0, 1, "1.1.0"), ["confirmed", "endObservation"]);
});

test("a device that lost the image after it was told to apply fetches it again, and holds it", () => {
  const bench = askedToApply();
  bench.act({ kind: "executeAnswered", outcome: "noAnswer" });
  bench.look();
  assert.equal(bench.report(1, 0)[0], "transferLost");
  assert.deepEqual(bench.act({ kind: "hold" }), ["hold"]);
  assert.equal(bench.state, "waiting");
  bench.wake();
  bench.look();
  assert.deepEqual(bench.report(0, 0), ["ready", "startTransfer"]);
  bench.act({ kind: "transferAnswered", outcome: "accepted" });
  bench.act({ kind: "notified" });
  assert.deepEqual(bench.report(2, 0), ["imageHeld"]);
});

test("a server that starts again after the word to wait asks for nothing but a look", () => {
  const bench = askedToApply();
  bench.act({ kind: "hold" });
  const again = new Bench({}, JSON.parse(JSON.stringify(bench.driver.snapshot)));
  again.act({ kind: "start", registered: true });
  assert.deepEqual(again.report(2, 0), ["imageHeld"]);
});

/** A package of object 9 that is installed; what it replaced is gone. */
const installed = (isActive: boolean) => ({
  currentVersion: "1.1.0",
  mustPrepare: true,
  needsActivation: !isActive,
  mayBeInstalling: false,
});

test("object 9: a package that was installed, as was asked for before the word to wait, is activated", () => {
  const bench = askedToApply();
  bench.act({ kind: "executeAnswered", outcome: "noAnswer" });
  assert.deepEqual(bench.act({ kind: "hold" }), ["hold"]);
  bench.act({ kind: "notified" });
  assert.deepEqual(bench.report(0, 1, "1.0.0", installed(false)), ["installed", "execute"]);
  assert.deepEqual(bench.outputs.at(-1), { kind: "execute", step: "activate" });
  assert.deepEqual(bench.act({ kind: "executeAnswered", outcome: "accepted" }), ["look"]);
  assert.deepEqual(bench.report(0, 1, "1.0.0", installed(true)), ["confirmed", "endObservation"]);
});

test("object 9: what somebody else has installed is activated when the word to apply comes, and not installed again", () => {
  const bench = pulling({}, false);
  assert.deepEqual(bench.report(2, 0), ["imageHeld"]);
  bench.act({ kind: "notified" });
  assert.deepEqual(bench.report(0, 1, "1.0.0", installed(false)), ["installedHeld"]);
  assert.equal(bench.state, "waitingToApply");
  assert.equal(bench.sentence, "1.1.0 is installed; it is not activated before the command to apply");
  bench.act({ kind: "notified" });
  assert.deepEqual(bench.report(0, 1, "1.0.0", installed(false)), []);
  // A server that starts again knows it, too.
  const again = new Bench({}, JSON.parse(JSON.stringify(bench.driver.snapshot)));
  again.act({ kind: "start", registered: true });
  assert.deepEqual(again.act({ kind: "apply" }), ["apply", "execute"]);
  assert.deepEqual(again.outputs.at(-1), { kind: "execute", step: "activate" });
  assert.deepEqual(again.act({ kind: "executeAnswered", outcome: "accepted" }), ["executed"]);
  again.act({ kind: "notified" });
  assert.deepEqual(again.report(0, 1, "1.0.0", installed(true)), ["confirmed", "endObservation"]);
  // What is gone again is installed.
  bench.act({ kind: "notified" });
  assert.deepEqual(bench.report(2, 0, "1.0.0", { currentVersion: null, mayBeInstalling: true }), []);
  bench.act({ kind: "apply" });
  assert.deepEqual(bench.outputs.at(-1), { kind: "execute", step: "install" });
});

test("object 9: what is installed already and not active is no update that may be skipped", () => {
  for (const [apply, events] of [
    [false, ["installedHeld"]],
    [true, ["installed", "execute"]],
  ] as const) {
    const bench = new Bench({}, newSnapshot(apply));
    bench.act({ kind: "start", registered: true });
    assert.deepEqual(bench.report(0, 1, "1.0.0", installed(false)), events);
  }
  const runs = new Bench({}, newSnapshot(false));
  runs.act({ kind: "start", registered: true });
  assert.deepEqual(runs.report(0, 1, "1.0.0", installed(true)), ["alreadyRuns", "endObservation"]);
});
