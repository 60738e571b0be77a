/** A mesh device in this process: its slots, its link, its memory; and how it starts anew. */
import { join } from "node:path";
import { MeshDevice } from "@airlift/device/mesh/mesh-device";
import type { BootReport } from "@airlift/device/node/slot-boot";
import { createSlots } from "@airlift/device/node/slots";
import { WIRED_BAND } from "@airlift/gateway/edge/wired-band";
import { lossyLink } from "@airlift/gateway/links/lossy-link";
import type { RadioLink } from "@airlift/gateway/links/radio-link";
import type { CommandChannel } from "@airlift/protocol/zmesh/command-channel";
import type { HeardCounts } from "@airlift/protocol/zmesh/foreign-frames";
import type { ReceiverStatus } from "@airlift/protocol/zmesh/receiver-types";
import { DEFAULT_SUB_BAND, subBandNamed } from "@airlift/protocol/zmesh/regions";
import type { MeshOptions } from "./mesh-options.ts";
import { describeRawImage } from "./worker.ts";

export interface MeshReceiverOptions extends MeshOptions {
  readonly channel: CommandChannel;
  readonly groups: readonly CommandChannel[];
  /** Its own: slots, and what it remembers. */
  readonly folder: string;
  /** Largest image that it has room for; by default what a mesh device has. */
  readonly maxImageBytes?: number;
  /** It goes down, to start with the new image. */
  restart(): void;
  onStatus?(status: ReceiverStatus): void;
  /** Most of what it hears it cannot open. */
  onForeign?(counts: HeardCounts): void;
}

export class MeshReceiver {
  readonly version: string;
  readonly bootReport: BootReport;
  readonly #device: MeshDevice;
  readonly #link: RadioLink;

  private constructor(started: { version: string; bootReport: BootReport; device: MeshDevice; link: RadioLink }) {
    this.version = started.version;
    this.bootReport = started.bootReport;
    this.#device = started.device;
    this.#link = started.link;
  }

  /** Boots from its slots and opens a link of its own; it listens from `start` on. The errors are those of node:fs and of the link. */
  static async boot(options: MeshReceiverOptions): Promise<MeshReceiver> {
    const { folder, plan, loss, maxImageBytes, onStatus, onForeign } = options;
    const slots = createSlots({
      directory: folder,
      // What gets here was verified by its manifest, or needs no signature.
      trust: "allow-unsigned",
      factoryVersion: options.version,
      describe: describeRawImage,
    });
    const bootReport = await slots.boot();
    const link = await plan.open();
    const band = plan.isWired ? WIRED_BAND : subBandNamed(DEFAULT_SUB_BAND);
    const device = new MeshDevice({
      channel: options.channel,
      groups: options.groups,
      networkKey: options.networkKey,
      target: options.target,
      trust: options.trust,
      radio: loss > 0 ? lossyLink(link, loss) : link,
      folder: join(folder, "mesh"),
      slots,
      bootReport,
      limit: (band ?? WIRED_BAND).limit,
      pulls: options.pulls,
      newsSpreadMs: options.newsSpreadMs,
      restart: () => options.restart(),
      ...(maxImageBytes !== undefined && { maxImageBytes }),
      ...(onStatus && { onStatus: (status: ReceiverStatus) => onStatus(status) }),
      ...(onForeign && { onForeign: (counts: HeardCounts) => onForeign(counts) }),
    });
    return new MeshReceiver({ version: slots.version(), bootReport, device, link });
  }

  start(): Promise<void> {
    return this.#device.start();
  }

  async close(): Promise<void> {
    this.#device.close();
    await this.#link.close();
  }
}
