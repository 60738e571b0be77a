/** What the API, and devices that fetch by themselves, may ask about meshes. */
import type { BatchAnswer, ReportBatch } from "@airlift/protocol/api/gateway";
import type { MeshDevice, MeshPlan, NewMeshDevice } from "@airlift/protocol/api/mesh";
import type { CoapAnswer } from "@airlift/protocol/coap/body";
import { CODE, METHOD } from "@airlift/protocol/coap/codes";
import { type CoapRequest, createResponse } from "@airlift/protocol/coap/exchange";
import { OPTION, uintOption, uriPath } from "@airlift/protocol/coap/options";
import { toHex } from "@airlift/protocol/lib/bytes";
import { CONTENT_FORMATS } from "@airlift/protocol/lwm2m/content-formats";
import { nameOf } from "@airlift/protocol/zmesh/content-name";
import { decodeOnboarding } from "@airlift/protocol/zmesh/onboarding";
import { zmeshCrypto } from "@airlift/runtime/zmesh-crypto";
import type { Stores } from "../store/ports.ts";
import type { BroadcastDelivery } from "./broadcast-delivery.ts";
import type { ContentFile, MeshReleases } from "./mesh-releases.ts";

export interface MeshDoorOptions {
  readonly stores: Pick<Stores, "mesh">;
  readonly releases: MeshReleases;
  readonly broadcast: BroadcastDelivery;
}

/** "zdm/sw/<name>/<SEQ>", "zdm/sw/<name>/manifest/<SEQ>"; the name may also be the twelve hex digits that it has on air. */
const PACKET = /^(zdm\/sw\/([^/]+)(?:\/manifest)?)\/(\d{1,8})$/;
const ON_AIR = /^[0-9a-f]{12}$/;

export class MeshDoor {
  readonly #options: MeshDoorOptions;

  constructor(options: MeshDoorOptions) {
    this.#options = options;
  }

  /** @throws {UsageError} ONBOARDING, MESH_DEVICE_EXISTS (409) */
  async onboard(asked: NewMeshDevice): Promise<MeshDevice> {
    return await this.#options.stores.mesh.devices.onboard(decodeOnboarding(asked.payload, zmeshCrypto), asked);
  }

  report(gatewayId: string, batch: ReportBatch): Promise<BatchAnswer> {
    return this.#options.broadcast.report(gatewayId, batch);
  }

  openContent(name: string): Promise<ContentFile | undefined> {
    return this.#options.releases.open(name);
  }

  manifestKeyPem(): Promise<string> {
    return this.#options.releases.publicKeyPem();
  }

  preview(imageId: string, endpoints: readonly string[], spanMs: number): Promise<MeshPlan> {
    return this.#options.broadcast.planner.preview(imageId, endpoints, spanMs);
  }

  async packetAt(fullName: string): Promise<Uint8Array | undefined> {
    const [, uri, name, seq] = PACKET.exec(fullName) ?? [];
    if (uri === undefined || name === undefined || Number(seq) >= 2 ** 24) return undefined;
    const onAir = ON_AIR.test(name) ? name : toHex(nameOf(uri, zmeshCrypto));
    return await this.#options.releases.payloadAt(onAir, Number(seq));
  }

  /** The answer to a request below `/zdm`: Uri-Path holds the name as it is written, escapes and all. */
  async answer(request: CoapRequest): Promise<CoapAnswer> {
    if (request.code !== METHOD.get) return createResponse(CODE.methodNotAllowed);
    const payload = await this.packetAt(uriPath(request.options).join("/"));
    if (payload === undefined) return createResponse(CODE.notFound);
    return createResponse(CODE.content, payload, [uintOption(OPTION.contentFormat, CONTENT_FORMATS.opaque)]);
  }
}
