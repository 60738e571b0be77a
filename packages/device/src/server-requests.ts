/** Answers what the server asks of this device; a stranger is told nothing. */
import type { CoapAnswer, UploadSink } from "@airlift/protocol/coap/body";
import { CODE, METHOD } from "@airlift/protocol/coap/codes";
import type { CoapRequest, Peer } from "@airlift/protocol/coap/exchange";
import { EMPTY } from "@airlift/protocol/lib/bytes";
import { fromCoapRequest, toCoapAnswer } from "@airlift/protocol/lwm2m/coap-mapping";
import { decodePaths } from "@airlift/protocol/lwm2m/composite";
import { CONTENT_FORMATS } from "@airlift/protocol/lwm2m/content-formats";
import { FIRMWARE_UPDATE_ID } from "@airlift/protocol/lwm2m/objects/firmware-update";
import { isWithin, type Path, pathOfSegments } from "@airlift/protocol/lwm2m/path";
import type { Lwm2mRequest } from "@airlift/protocol/lwm2m/request";
import type { ObservationOffer } from "@airlift/runtime/coap";
import type { AgentUnit } from "./agent-unit.ts";
import type { ObjectRequests } from "./objects/requests.ts";
import type { ObserverList } from "./observer-list.ts";
import type { PackagePushes } from "./package-pushes.ts";
import type { ServerChannel } from "./server-channel.ts";
import type { UpdateRunner } from "./update-runner.ts";

const UPDATE_RESULT: Path = [FIRMWARE_UPDATE_ID, 0, 5];
const UNAUTHORIZED = { code: CODE.unauthorized, payload: EMPTY };

export interface ServerRequestsOptions {
  readonly channel: ServerChannel;
  readonly runner: UpdateRunner;
  readonly requests: ObjectRequests;
  readonly observers: ObserverList;
  /** The doors for packages. */
  readonly pushes: readonly PackagePushes[];
  readonly units: readonly AgentUnit[];
  /** What a request has to wait for before it is answered. */
  readonly isReady: () => Promise<void> | undefined;
}

export class ServerRequests {
  readonly #options: ServerRequestsOptions;

  constructor(options: ServerRequestsOptions) {
    this.#options = options;
  }

  /** For `ServeOptions.receive`: a package is not gathered but streamed. */
  receive(request: CoapRequest, peer: Peer): UploadSink | CoapAnswer | undefined {
    const { channel, pushes } = this.#options;
    if (!channel.isServer(peer)) return toCoapAnswer(UNAUTHORIZED);
    for (const door of pushes) {
      const encoding = door.encodingOf(request);
      if (encoding !== undefined) return door.sink(encoding);
    }
    return undefined;
  }

  async answer(request: CoapRequest, peer: Peer, offer: ObservationOffer | undefined): Promise<CoapAnswer> {
    const { channel, pushes, requests, observers, units, isReady } = this.#options;
    if (!channel.isServer(peer)) return toCoapAnswer(UNAUTHORIZED);
    await isReady();
    for (const unit of units) await unit.decided();
    for (const door of pushes) {
      const encoding = door.encodingOf(request);
      if (encoding === undefined) continue;
      return toCoapAnswer({ code: await door.whole(request.payload, encoding), payload: EMPTY });
    }
    const asked = fromCoapRequest(request);
    const answer = await requests.answer(asked);
    if (answer.code === CODE.content) this.#hasRead(asked, offer);
    else if (asked.code !== METHOD.get && asked.code !== METHOD.fetch) {
      observers.attributesChanged();
      observers.changed([[1], [3]]);
    }
    return toCoapAnswer(answer);
  }

  #hasRead(asked: Lwm2mRequest, offer: ObservationOffer | undefined): void {
    const { runner, observers, units } = this.#options;
    const isComposite = asked.code === METHOD.fetch;
    if (asked.accept === CONTENT_FORMATS.linkFormat && !isComposite) return;
    const paths = isComposite
      ? decodePaths(asked.contentFormat ?? CONTENT_FORMATS.text, asked.payload)
      : [pathOfSegments(asked.uriPath)];
    if (paths.some((path) => isWithin(path, UPDATE_RESULT))) runner.feed({ kind: "resultTold" });
    for (const unit of units) for (const path of paths) unit.hasRead(path);
    if (offer !== undefined) observers.accept({ paths, isComposite, accept: asked.accept }, offer);
  }
}
