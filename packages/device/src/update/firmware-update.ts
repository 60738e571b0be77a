/**
 * The device's half of a firmware update: object 5 between the server's requests, the download and the store.
 *
 * One handler runs at a time. What is to be done next is never queued but follows from the facts: a discarded image
 * first, then whatever the transfer lacks. A handler that settles after its update was given up changes nothing.
 */

import type { Core } from "@airlift/protocol/lib/core";
import { type FirmwareEvent, refusalOf, type ServerEvent } from "@airlift/protocol/update/firmware-update";
import { HandlerTurn } from "./handler-turn.ts";
import { type Answer, Ledger } from "./ledger.ts";
import type {
  Exchange,
  HandlerCall,
  HandlerOutcome,
  PackageChunk,
  UpdateInput,
  UpdateOutput,
  UpdateSetting,
} from "./messages.ts";
import { eventOfAccept, eventOfSetResult, refusedBy } from "./outcomes.ts";
import type { Persisted } from "./persisted.ts";
import { isAllowed } from "./setting.ts";
import { openPush, Transfer, withDropped } from "./transfer.ts";
import { Upgrade } from "./upgrade.ts";

/** Long enough for the answer and the notification to leave the device, too short for anyone to wait for. */
export const DEFAULT_UPGRADE_DELAY_MS = 250;

export interface FirmwareUpdateOptions {
  /** Wall-clock time, for Last State Change Time and the deadline of a deferral. */
  readonly utcMs: () => number;
  /** From the answer to Update until `performUpgrade`; default `DEFAULT_UPGRADE_DELAY_MS`. */
  readonly upgradeDelayMs?: number;
  /** Whether an update may be put off at all; default yes. Object version 1.0 knows no such result. */
  readonly allowsDeferral?: boolean;
}

/** @see OMA object 5, resources 0 … 14 */
export class FirmwareUpdate implements Core<UpdateInput, UpdateOutput> {
  readonly #upgrade: Upgrade;
  readonly #ledger: Ledger;
  #transfer: Transfer | undefined;
  readonly #turn = new HandlerTurn();
  #pullCount = 0;
  #nowMs = 0;

  constructor(persisted: Persisted, options: FirmwareUpdateOptions) {
    const { utcMs, upgradeDelayMs: delayMs = DEFAULT_UPGRADE_DELAY_MS, allowsDeferral = true } = options;
    this.#ledger = new Ledger(persisted, utcMs);
    this.#upgrade = new Upgrade({ utcMs, delayMs, allowsDeferral });
  }

  /** What /5/0 reads at this moment. */
  get facts(): Persisted {
    return this.#ledger.facts;
  }

  /** Octets of the package in Downloading that are in the store. */
  get storedBytes(): number {
    return this.#transfer?.storedBytes ?? 0;
  }

  get wakeAtMs(): number | undefined {
    return this.#turn.isFree ? this.#upgrade.wakeAtMs : undefined;
  }

  /** @throws {UsageError} RESULT_NOT_SETTABLE for a `setResult` or `accept` that the state does not allow. */
  step(input: UpdateInput, nowMs: number): UpdateOutput[] {
    this.#nowMs = nowMs;
    this.#handle(input);
    if (this.#upgrade.isOverdue(this.facts, nowMs)) {
      this.#move("accepted", [], this.#upgrade.want("deadline", this.facts));
    }
    this.#schedule();
    return this.#ledger.takeOutputs();
  }

  #handle(input: UpdateInput) {
    switch (input.kind) {
      case "start":
        return this.#start();
      case "writeUri":
        return this.#writeUri(input.exchange, input.uri, input.supported);
      case "packageChunk":
        return input.first ? this.#firstChunk(input) : this.#nextChunk(input);
      case "packageBroken":
        return this.#packageBroken(input.push);
      case "executeUpdate":
        return this.#request("update", input.exchange, () => this.#upgrade.want("server", this.facts));
      case "executeCancel":
        return this.#request("cancel", input.exchange);
      case "writeSetting":
        return this.#writeSetting(input.exchange, input.setting);
      case "handlerSettled":
        return this.#settled(input.call, input.outcome);
      case "setResult":
        return this.#tell(eventOfSetResult(this.facts, input.result, this.#upgrade.mayDefer(this.facts)));
      case "moved":
        return this.#move(input.event);
      case "accept":
        return this.#move(eventOfAccept(this.facts), [], this.#upgrade.want("accepted", this.facts));
      case "resultTold":
        return this.facts.resultTold ? undefined : this.#ledger.save({ resultTold: true });
      case "wake":
        return;
      default:
        return this.#pullSaid(input);
    }
  }

  /** R1 … R3; in Downloaded and Updating things are as they are until somebody says otherwise. */
  #start() {
    const { state, pulled, etag, storedBytes, resultTold, result, discarding } = this.facts;
    if (state === "idle" && resultTold && result !== "initial") this.#ledger.save({ result: "initial" });
    if (state === "downloaded" && result === "initial") return this.#upgradeByItself();
    if (state !== "downloading") return;
    if (!pulled) return this.#move("reset");
    const transfer = this.#newPull();
    // What a reset was about to remove is no beginning to go on from.
    if (storedBytes === 0 || etag === undefined || discarding) {
      return this.#ledger.save({ discarding: true, etag: undefined, storedBytes: 0 });
    }
    transfer.etag = etag;
    transfer.storedBytes = storedBytes;
    transfer.opened = true;
  }

  /** Resource 14: what has been downloaded need not wait for an Execute. */
  #upgradeByItself() {
    if (this.facts.automaticUpgrade) this.#move("accepted", [], this.#upgrade.want("automatic", this.facts));
  }

  /** @param patch Asked for only when the request is carried out. */
  #request(event: ServerEvent, exchange: Exchange, patch: () => Partial<Persisted> = () => ({})) {
    if (!this.#allows(event)) return this.#ledger.answer(exchange, refusalOf(this.facts.state, event));
    this.#move(event, [{ exchange, code: event === "unsupportedUri" ? "4.00" : "2.04" }], patch());
  }

  /** While a push opens the store, the state still is Idle, but nothing else may begin. */
  #allows(event: ServerEvent): boolean {
    const begins = event === "writeUri" || event === "unsupportedUri" || event === "writePackage";
    return this.#ledger.allows(event) && !(begins && this.#transfer !== undefined);
  }

  #writeUri(exchange: Exchange, uri: string, supported: boolean) {
    if (uri === "") return this.#request("clearUri", exchange);
    if (!supported) return this.#request("unsupportedUri", exchange);
    this.#request("writeUri", exchange, () => ({ uri, etag: undefined, pulled: true }));
  }

  #writeSetting(exchange: Exchange, setting: UpdateSetting) {
    if (isAllowed(setting)) this.#ledger.save(setting);
    this.#ledger.answer(exchange, isAllowed(setting) ? "2.04" : "4.00");
  }

  #firstChunk(chunk: PackageChunk) {
    const { exchange } = chunk;
    const opened = openPush(chunk);
    if (opened === "reset") return this.#request("reset", exchange);
    if (!this.#allows("writePackage")) {
      return this.#ledger.answer(exchange, refusalOf(this.facts.state, "writePackage"));
    }
    if (opened === "garbled") return this.#ledger.answer(exchange, "4.00");
    this.#transfer = opened;
  }

  #nextChunk(chunk: PackageChunk) {
    const transfer = this.#pushOf(chunk.push);
    if (transfer === undefined) return this.#ledger.answer(chunk.exchange, "4.08");
    const bytes = transfer.decode(chunk.bytes, chunk.last);
    if (bytes === undefined) return this.#move("garbled", [{ exchange: chunk.exchange, code: "4.00" }]);
    transfer.chunk = { bytes, exchange: chunk.exchange };
    transfer.ended = chunk.last;
    this.#chunkDone(transfer);
  }

  #pushOf(push: number): Transfer | undefined {
    return this.#transfer?.source === "push" && this.#transfer.id === push ? this.#transfer : undefined;
  }

  /** Row 5. As long as the store opens, the Write has not begun, and its result stays what it was. */
  #packageBroken(push: number) {
    if (this.#pushOf(push) === undefined) return;
    if (this.facts.state === "downloading") this.#move("connectionLost");
    else this.#move("reset", [], { result: this.facts.result });
  }

  #pullSaid(input: Extract<UpdateInput, { pull: number }>) {
    const transfer = this.#transfer;
    if (transfer?.source !== "pull" || transfer.id !== input.pull) return;
    switch (input.kind) {
      case "pullOrigin":
        transfer.etag = input.etag;
        return this.#ledger.save({ etag: input.etag });
      case "pullChunk":
        return transfer.take(input.offset, input.bytes) ? this.#chunkDone(transfer) : this.#move("connectionLost");
      case "pullEnded":
        transfer.ended = true;
        return;
      case "pullFailed":
        return this.#move(input.result);
      case "pullChanged":
        return this.#move("startOver");
    }
  }

  /** Lets the next piece come when nothing of this one is left to write. */
  #chunkDone(transfer: Transfer) {
    const { chunk } = transfer;
    if (chunk === undefined || chunk.bytes.length > 0 || !transfer.opened || transfer.ended) return;
    transfer.chunk = undefined;
    if (chunk.exchange !== undefined) this.#ledger.answer(chunk.exchange, "2.31");
    else this.#ledger.put({ kind: "pullNext", pull: transfer.id });
  }

  #settled(call: number, outcome: HandlerOutcome) {
    const settled = this.#turn.settle(call);
    if (settled?.name === "reset") return this.#ledger.save({ discarding: false });
    if (settled === undefined || settled.isStale) return;
    if (settled.name === "performUpgrade") return this.#performed(outcome);
    if (this.#transfer) this.#stored(settled.name, this.#transfer, outcome);
  }

  #performed(outcome: HandlerOutcome) {
    if (!outcome.ok) this.#tell(refusedBy(outcome.reason, this.#upgrade.mayDefer(this.facts)));
    else if (outcome.value === "installed") this.#move("installed");
  }

  /** What became of the installation, or of the wish for it. */
  #tell(event: FirmwareEvent) {
    this.#move(event, [], event === "deferred" ? this.#upgrade.deferred(this.facts) : {});
  }

  #stored(name: HandlerCall["handler"], transfer: Transfer, outcome: HandlerOutcome) {
    const exchange = transfer.chunk?.exchange;
    const answered = (code: Answer["code"]): Answer[] => (exchange === undefined ? [] : [{ exchange, code }]);
    const reason = outcome.ok ? undefined : (outcome.reason ?? "noFlash");
    if (name === "finish") {
      this.#move(reason ? `verify.${reason}` : "received", answered("2.04"));
      return reason ? undefined : this.#upgradeByItself();
    }
    if (reason !== undefined) {
      const isRefusedPush = name === "openStream" && transfer.source === "push";
      if (!isRefusedPush) return this.#move(reason, answered("5.00"));
      this.#transfer = undefined;
      if (exchange !== undefined) this.#ledger.answer(exchange, "5.00");
      return;
    }
    if (name === "write") transfer.written();
    else if (transfer.source === "push") this.#move("writePackage", [], { pulled: false, etag: undefined });
    transfer.opened = true;
    this.#chunkDone(transfer);
  }

  #newPull(): Transfer {
    this.#pullCount += 1;
    this.#transfer = new Transfer("pull", this.#pullCount);
    this.#transfer.uri = this.facts.uri;
    return this.#transfer;
  }

  #move(event: FirmwareEvent, answers: readonly Answer[] = [], patch: Partial<Persisted> = {}) {
    this.#turn.moveOn();
    const transfer = this.#transfer;
    const actions = this.#ledger.move(event, withDropped(transfer, event, answers), patch);
    if (this.facts.state !== "downloading" || actions.includes("discardImage")) {
      if (transfer?.source === "pull" && transfer.started && !transfer.ended) {
        this.#ledger.put({ kind: "stopPull", pull: transfer.id });
      }
      this.#transfer = undefined;
    }
    this.#upgrade.moved(actions.includes("install"), this.#nowMs);
    if (actions.includes("startPull")) this.#newPull();
  }

  /** Begins what the facts ask for; nothing while a handler runs. */
  #schedule() {
    if (!this.#turn.isFree) return;
    if (this.facts.discarding) return this.#call({ handler: "reset" });
    if (this.#upgrade.isDue(this.#nowMs)) {
      return this.#call({ handler: "performUpgrade", order: this.#upgrade.begin(this.facts) });
    }
    const next = this.#transfer?.next ?? "none";
    if (next === "startPull") this.#startPull();
    else if (next !== "none") this.#call(next);
  }

  #startPull() {
    const transfer = this.#transfer as Transfer;
    transfer.started = true;
    const { id: pull, uri, storedBytes: offset, etag } = transfer;
    this.#ledger.put({ kind: "startPull", pull, uri, offset, etag: offset > 0 ? etag : undefined });
  }

  #call(call: HandlerCall) {
    this.#ledger.put(this.#turn.begin(call));
  }
}
