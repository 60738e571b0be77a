/** Runs block-wise transfers over anything that can carry a request. */
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { BlockDownload, type DownloadOutput } from "@airlift/protocol/coap/block-download";
import { BlockUpload, type UploadOutput } from "@airlift/protocol/coap/block-upload";
import type { BlockSink, BlockSource } from "@airlift/protocol/coap/body";
import type { CoapRequest, CoapResponse } from "@airlift/protocol/coap/exchange";
import { BugError } from "@airlift/protocol/lib/errors";
import type { DownloadOptions, DownloadResult, RequestOptions, TransferOptions } from "./coap.ts";

/** Sends one request of a transfer to the peer of the transfer. */
export type SendRequest = (request: CoapRequest, options: RequestOptions) => Promise<CoapResponse>;

/** Brings a body into `sink`. @see CoapClient.download */
export async function download(
  send: SendRequest,
  request: CoapRequest,
  sink: BlockSink,
  options: DownloadOptions,
): Promise<DownloadResult> {
  const core = new BlockDownload(request, options);
  const transfer = new Transfer(options);
  let outputs: DownloadOutput[] = core.step({ kind: "start" }, performance.now());
  for (;;) {
    let next: DownloadOutput[] | undefined;
    for (const output of outputs) {
      if (output.kind === "finished") return { sizeBytes: output.sizeBytes, etag: output.etag };
      if (output.kind === "failed") throw output.error;
      if (output.kind === "started") {
        transfer.sizeBytes = output.sizeBytes;
        await options.onStart?.(output);
      } else if (output.kind === "request") {
        const response = await send(output.request, transfer.requestOptions);
        next = core.step({ kind: "response", response }, performance.now());
      } else {
        const written = sink.write(output.bytes, output.offset);
        if (written) await written;
        transfer.progress(core.receivedBytes);
        next = core.step({ kind: "taken" }, performance.now());
      }
    }
    outputs = next ?? core.step({ kind: "wake" }, await transfer.wake(core.wakeAtMs));
  }
}

/** Sends the body that `source` gives. @see CoapClient.upload */
export async function upload(
  send: SendRequest,
  request: CoapRequest,
  source: BlockSource,
  options: TransferOptions,
): Promise<CoapResponse> {
  const core = new BlockUpload(request, source.sizeBytes, options);
  const transfer = new Transfer(options);
  transfer.sizeBytes = source.sizeBytes;
  let outputs: UploadOutput[] = core.step({ kind: "start" }, performance.now());
  for (;;) {
    let next: UploadOutput[] | undefined;
    for (const output of outputs) {
      if (output.kind === "finished") return output.response;
      if (output.kind === "failed") throw output.error;
      if (output.kind === "acknowledged") transfer.progress(output.bytes);
      else if (output.kind === "request") {
        const response = await send(output.request, transfer.requestOptions);
        next = core.step({ kind: "response", response }, performance.now());
      } else {
        const bytes = await source.read(output.offset, output.length);
        next = core.step({ kind: "bytes", bytes }, performance.now());
      }
    }
    outputs = next ?? core.step({ kind: "wake" }, await transfer.wake(core.wakeAtMs));
  }
}

/** What all requests of one transfer share. */
class Transfer {
  sizeBytes: number | undefined;
  /** One token for the whole transfer: some devices expect it, none may mind. */
  readonly requestOptions: RequestOptions;
  readonly #options: TransferOptions;
  #retransmissionCount = 0;
  #bytes = 0;

  constructor(options: TransferOptions) {
    this.#options = options;
    const { signal, confirmable, transmission, responseTimeoutMs } = options;
    this.requestOptions = {
      signal,
      confirmable,
      transmission,
      responseTimeoutMs,
      token: Uint8Array.from(randomBytes(6)),
      onRetransmission: () => {
        this.#retransmissionCount += 1;
        this.#report();
      },
    };
  }

  progress(bytes: number): void {
    this.#bytes = bytes;
    this.#report();
  }

  /** Waits until the core is due; the time then. */
  async wake(wakeAtMs: number | undefined): Promise<number> {
    if (wakeAtMs === undefined) throw new BugError("TRANSFER_STALLED", "a transfer waits for nothing");
    const { signal } = this.#options;
    const delayMs = Math.max(0, Math.ceil(wakeAtMs - performance.now()));
    await sleep(delayMs, undefined, signal ? { signal } : {});
    return Math.max(performance.now(), wakeAtMs);
  }

  #report(): void {
    const { sizeBytes } = this;
    this.#options.onProgress?.({ bytes: this.#bytes, sizeBytes, retransmissionCount: this.#retransmissionCount });
  }
}
