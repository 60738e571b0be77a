/** One update driven against one device in virtual time: days of waiting in a millisecond. */

import { isFinalUpdateState } from "@airlift/protocol/update/device-update";
import type { DriverInput, DriverOutput, UpdateOrder, UpdateSnapshot } from "@airlift/server/delivery/driver-messages";
import { newSnapshot } from "@airlift/server/delivery/driver-messages";
import { DEFAULT_UPDATE_POLICY, type UpdatePolicy } from "@airlift/server/delivery/policy";
import { UpdateDriver } from "@airlift/server/delivery/update-driver";
import { type DeviceFaults, type DeviceReading, MisbehavingDevice } from "@airlift/sim/misbehaving-device";

const ORDER: UpdateOrder = {
  updateId: "u1",
  endpoint: "pump-7",
  imageId: "0011223344556677",
  imageVersion: "1.1.0",
  totalBytes: 100_000,
  by: "auto",
  target: { kind: "firmware" },
};

/** One way between server and device. */
const LATENCY_MS = 50;

export class UpdateWorld {
  readonly driver: UpdateDriver;
  readonly device: MisbehavingDevice;
  /** What was asked of the device, in order: "look", "push 0", "fetch", "execute", "reset emptyUri". */
  readonly asked: string[] = [];
  /** What an operator read, in order. */
  readonly sentences: string[] = [];
  nowMs = 0;
  #queue: { readonly atMs: number; readonly input: DriverInput }[] = [];
  /** What is on its way is lost when the server stops the transfer. */
  #transfer = 0;

  constructor(
    faults: DeviceFaults,
    order: Partial<UpdateOrder> = {},
    more: { policy?: Partial<UpdatePolicy>; apply?: boolean } = {},
  ) {
    const whole = { ...ORDER, ...order };
    const policy = { ...DEFAULT_UPDATE_POLICY, ...more.policy };
    this.driver = new UpdateDriver(whole, policy, newSnapshot(more.apply ?? true));
    const image = { sizeBytes: whole.totalBytes, version: whole.imageVersion };
    this.device = new MisbehavingDevice(faults, image, (news) => this.#send({ kind: news }));
    this.feed({ kind: "start", registered: true });
  }

  get snapshot(): UpdateSnapshot {
    return this.driver.snapshot;
  }

  get sentence(): string {
    return this.sentences.at(-1) ?? "";
  }

  get hasEnded(): boolean {
    return isFinalUpdateState(this.snapshot.state);
  }

  /** Lets time pass until the update has ended or `limitMs` is reached. */
  run(limitMs = 14 * 24 * 3_600_000): this {
    while (!this.hasEnded) {
      const nextMs = this.#nextMs();
      if (nextMs === undefined || nextMs > limitMs) break;
      this.nowMs = Math.max(this.nowMs, nextMs);
      this.device.wake(this.nowMs);
      const due = this.#queue.filter(({ atMs }) => atMs <= this.nowMs);
      this.#queue = this.#queue.filter(({ atMs }) => atMs > this.nowMs);
      for (const { input } of due) this.feed(input);
      this.feed({ kind: "wake" });
    }
    return this;
  }

  feed(input: DriverInput): void {
    for (const output of this.driver.step(input, this.nowMs)) this.#perform(output);
  }

  countOf(what: string): number {
    return this.asked.filter((one) => one.startsWith(what)).length;
  }

  #nextMs(): number | undefined {
    const times = [this.driver.wakeAtMs, this.device.wakeAtMs, ...this.#queue.map(({ atMs }) => atMs)];
    const known = times.filter((atMs) => atMs !== undefined);
    return known.length === 0 ? undefined : Math.min(...known);
  }

  #send(input: DriverInput): void {
    this.#queue.push({ atMs: this.nowMs + LATENCY_MS, input });
  }

  #perform(output: DriverOutput): void {
    switch (output.kind) {
      case "transition":
        this.sentences.push(output.sentence);
        return;
      case "look":
        this.asked.push("look");
        this.#send(this.#reportOf(output.look, this.device.read(this.nowMs)));
        return;
      case "startTransfer":
        this.#startTransfer(output);
        return;
      case "stopTransfer":
        this.#transfer += 1;
        return;
      case "execute":
        this.asked.push("execute");
        this.#send({ kind: "executeAnswered", ...this.device.execute(this.nowMs) });
        return;
      case "resetDevice":
        this.asked.push(`reset ${output.form}`);
        this.#send({ kind: "resetAnswered", ...this.device.reset(this.nowMs, output.form) });
        return;
      default:
        this.asked.push(output.kind);
    }
  }

  #startTransfer({ choice, offset }: Extract<DriverOutput, { kind: "startTransfer" }>): void {
    this.#transfer += 1;
    const transfer = this.#transfer;
    const send = (input: DriverInput): void => {
      if (transfer === this.#transfer) this.#send(input);
    };
    const progress = (acknowledgedBytes: number): void => send({ kind: "progress", acknowledgedBytes });
    if (choice.kind === "pull") {
      this.asked.push("fetch");
      this.#send({ kind: "transferAnswered", ...this.device.writeUri(this.nowMs, progress) });
      return;
    }
    this.asked.push(`push ${offset}${choice.encoding === undefined ? "" : " as text"}`);
    const done = (answer: Parameters<Parameters<MisbehavingDevice["push"]>[2]["done"]>[0]): void =>
      send({ kind: "pushEnded", ...answer });
    this.device.push(this.nowMs, { offset, isText: choice.encoding === "base64" }, { progress, done });
  }

  #reportOf(look: number, reading: DeviceReading | "busy" | undefined): DriverInput {
    const schemes = ["coap", "http"] as const;
    if (reading === undefined)
      return { kind: "report", look, report: undefined, schemes, why: "the device does not answer" };
    if (reading === "busy")
      return { kind: "report", look, report: undefined, schemes, why: "the device is busy and answered 5.03" };
    const { state, result, version, maximumDeferPeriodS } = reading;
    const names = { packageUri: null, packageName: null, packageVersion: null, protocols: null, deliveryMethod: 2 };
    const firmware = { ...names, state, result, maximumDeferPeriodS };
    const report = { firmware, version, manufacturer: null, model: null, hardware: null };
    return { kind: "report", look, report, schemes };
  }
}
