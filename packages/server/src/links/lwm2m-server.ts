/** The LwM2M server on one CoAP endpoint: who registers, what they fetch, and the updates that are driven. */
import type { CoapAnswer } from "@airlift/protocol/coap/body";
import { CODE } from "@airlift/protocol/coap/codes";
import { type CoapRequest, createResponse } from "@airlift/protocol/coap/exchange";
import { OPTION, optionTexts, uintOption } from "@airlift/protocol/coap/options";
import { EMPTY } from "@airlift/protocol/lib/bytes";
import { AirliftError } from "@airlift/protocol/lib/errors";
import { fromCoapRequest } from "@airlift/protocol/lwm2m/coap-mapping";
import { type CoapUdp, type CoapUdpOptions, openCoapUdp } from "@airlift/runtime/coap-udp";
import { type Driven, drive } from "@airlift/runtime/drive";
import type { UdpPeer } from "@airlift/runtime/udp";
import type { Logger } from "pino";
import { isLoopbackHost } from "../config.ts";
import type { PullScheme } from "../delivery/delivery-choice.ts";
import type { UpdateOrder } from "../delivery/driver-messages.ts";
import type { UpdatePolicy } from "../delivery/policy.ts";
import type { DeviceReport } from "../delivery/report.ts";
import type { Registration } from "../fleet/registration.ts";
import { Registry, type RegistryInput, type RegistryOutput } from "../fleet/registry.ts";
import type { KeptRegistration, Stores } from "../store/ports.ts";
import { DeliveryEngine } from "./delivery-engine.ts";
import { DeviceLink } from "./device-link.ts";
import { formatAddress, peerOf, UdpDeviceRequests } from "./device-requests.ts";
import { ImageDoor, imagePath } from "./image-door.ts";
import { LocalAddresses, uriHost } from "./public-address.ts";
import { readRegistrationRequest, registrationAnswer } from "./registration-door.ts";
import { answerReport } from "./report-door.ts";
import { ReportReader } from "./report-reader.ts";

export interface Lwm2mServerOptions {
  readonly stores: Stores;
  readonly log: Logger;
  readonly udp: CoapUdpOptions;
  /** Host put into Package URIs; null = the address of ours that the device would reach. */
  readonly publicHost: string | null;
  /** Port of the HTTP image door, for devices that fetch over HTTP. */
  readonly httpPort: () => number;
  readonly policy?: UpdatePolicy | undefined;
}

/** When a device may ask again that came while the registrations of the last run were being read. */
const STARTING_S = 5;

export class Lwm2mServer {
  readonly #options: Lwm2mServerOptions;
  readonly #coap: CoapUdp;
  readonly #registry = new Registry();
  readonly #driven: Driven<RegistryInput, RegistryOutput>;
  readonly #images: ImageDoor;
  readonly #addresses = new LocalAddresses();
  readonly #reports: ReportReader;
  readonly engine: DeliveryEngine;

  private constructor(coap: CoapUdp, options: Lwm2mServerOptions) {
    const { stores, log } = options;
    const link = new DeviceLink(new UdpDeviceRequests(coap));
    this.#options = options;
    this.#coap = coap;
    // What follows from a registration's end or start is done here; answers are made where the request came in.
    this.#driven = drive(this.#registry, { kind: "wake" }, (output) => this.#follow(output));
    this.engine = new DeliveryEngine({
      stores,
      link,
      log,
      policy: options.policy,
      registrationOf: (endpoint) => this.#registry.get(endpoint),
      packageUri: (order, scheme, registration) => this.#packageUri(order, scheme, registration),
      schemesFor: (registration) => this.#schemesFor(registration),
      onReport: (endpoint, report) => this.#keepReport(endpoint, report),
    });
    this.#reports = new ReportReader(link, log, (endpoint, report) => this.#keepReport(endpoint, report));
    this.#images = new ImageDoor(stores.images, (updateId, offset) => this.engine.onFetched(updateId, offset));
  }

  /**
   * Binds the socket, takes up the registrations and updates of the last run, then serves.
   *
   * @throws {EnvironmentError} PORT_IN_USE and the like, as `openUdp`; DATABASE_AWAY
   */
  static async open(options: Lwm2mServerOptions): Promise<Lwm2mServer> {
    const coap = await openCoapUdp(options.udp);
    const server = new Lwm2mServer(coap, options);
    // A 4.04 to a device that is known, only not remembered yet, would make it register anew.
    coap.serve(() => createResponse(CODE.serviceUnavailable, EMPTY, [uintOption(OPTION.maxAge, STARTING_S)]));
    try {
      await server.#restore();
    } catch (error) {
      await server.close();
      throw error;
    }
    coap.serve((request, peer) => server.#answer(request, peer), {
      onError: (error) => options.log.error({ err: error }, "a request could not be answered"),
    });
    return server;
  }

  get address() {
    return this.#coap.address;
  }

  get registrationCount(): number {
    return this.#registry.size;
  }

  async close(): Promise<void> {
    this.#driven.stop();
    this.#reports.close();
    await this.engine.close();
    await this.#coap.close();
  }

  async #restore(): Promise<void> {
    const { stores } = this.#options;
    // The socket is bound: whoever had this server's name before is gone.
    await stores.nodes.join();
    const kept = await stores.devices.loadRegistrations();
    const registrations = kept.filter(({ presence }) => presence === "registered");
    this.#driven.feed({ kind: "restore", registrations, utcMs: Date.now() });
    await this.engine.restore(await stores.updates.unfinished());
  }

  #answer(request: CoapRequest, peer: UdpPeer): CoapAnswer | Promise<CoapAnswer> {
    const [door] = optionTexts(request.options, OPTION.uriPath);
    if (door === "fw") return this.#images.answer(request);
    if (door === "rd") return this.#answerRegistration(request, peer);
    if (door === "dp") return this.#answerReport(request, peer);
    return createResponse(CODE.notFound);
  }

  #answerRegistration(request: CoapRequest, peer: UdpPeer): CoapAnswer {
    const from = { address: formatAddress(peer), utcMs: Date.now() };
    const read = readRegistrationRequest(fromCoapRequest(request), from);
    if ("code" in read) return read;
    const [output] = this.#driven.feed(read);
    return output === undefined ? createResponse(CODE.internalServerError) : registrationAnswer(output);
  }

  #answerReport(request: CoapRequest, peer: UdpPeer): CoapAnswer {
    return answerReport(fromCoapRequest(request), {
      sender: this.#registry.at(formatAddress(peer)),
      onNews: (registration) => {
        // As with a registration: the device reads our answer first.
        setImmediate(() => {
          if (!this.engine.onNotified(registration.endpoint)) this.#reports.read(registration);
        });
      },
    });
  }

  #follow(output: RegistryOutput): void {
    switch (output.kind) {
      case "registered":
        this.#save(output.registration, "registered");
        this.#remark("device.registered", output.registration, describe(output.registration));
        // The device reads our answer first: what we ask of it may not overtake the 2.01.
        setImmediate(() => this.#onRegistered(output.registration));
        return;
      case "updated":
        this.#save(output.registration, "registered");
        // At a new address it has to be observed anew, and what was sent to the old one is lost.
        setImmediate(() => {
          if (output.moved) this.engine.onRegistered(output.registration.endpoint);
          else this.engine.onHeard(output.registration.endpoint);
        });
        return;
      case "deregistered":
      case "expired": {
        this.#save(output.registration, output.kind);
        const sentence = output.kind === "expired" ? "the registration expired" : "the device de-registered";
        this.#remark(`device.${output.kind}`, output.registration, sentence);
        this.engine.onUnregistered(output.registration.endpoint);
        return;
      }
      case "full":
        this.#options.log.warn(
          { registrations: this.#registry.size },
          "the registry is full; a device was turned away",
        );
        return;
      case "unknown":
        return;
    }
  }

  #onRegistered(registration: Registration): void {
    const { endpoint } = registration;
    // An update that is under way reads the device itself.
    if (this.engine.isDriving(endpoint)) this.engine.onRegistered(endpoint);
    else this.#reports.read(registration);
  }

  #save(registration: Registration, presence: KeptRegistration["presence"]): void {
    if (this.#options.stores.devices.queueSave([{ ...registration, presence }])) return;
    this.#options.log.warn({ endpoint: registration.endpoint }, "a registration could not be queued for the database");
  }

  #remark(
    kind: "device.registered" | "device.deregistered" | "device.expired",
    device: Registration,
    sentence: string,
  ) {
    const { endpoint, address } = device;
    const { stores, log } = this.#options;
    stores.events.append({ kind, endpoint, sentence, facts: { address } }).catch((error) => {
      if (error instanceof AirliftError) log.warn({ code: error.code, endpoint, kind }, "an event could not be stored");
      else log.error({ error, endpoint, kind }, "storing an event failed");
    });
  }

  #keepReport(endpoint: string, report: DeviceReport): void {
    const { firmware } = report;
    this.#options.stores.devices.queueReport({
      endpoint,
      version: report.version,
      manufacturer: report.manufacturer,
      model: report.model,
      hardware: report.hardware,
      firmware: firmware && {
        state: firmware.state,
        result: firmware.result,
        packageName: firmware.packageName,
        packageVersion: firmware.packageVersion,
        protocols: firmware.protocols === null ? null : [...firmware.protocols],
        deliveryMethod: firmware.deliveryMethod,
      },
    });
  }

  /** Over HTTP only where the API listens: a proxy that the operator named, or this very machine. */
  #schemesFor(registration: Registration): readonly PullScheme[] {
    const isNear = isLoopbackHost(peerOf(registration.address).address);
    return this.#options.publicHost !== null || isNear ? ["coap", "http"] : ["coap"];
  }

  async #packageUri(order: UpdateOrder, scheme: "coap" | "http", registration: Registration): Promise<string> {
    const { publicHost, httpPort } = this.#options;
    const host = uriHost(publicHost ?? (await this.#addresses.towards(peerOf(registration.address).address)));
    if (scheme === "http") return `http://${host}:${httpPort()}/firmware/${order.imageId}?u=${order.updateId}`;
    return `coap://${host}:${this.#coap.address.port}${imagePath(order.imageId, order.updateId)}`;
  }
}

function describe({ lwm2mVersion, lifetimeS, binding }: Registration): string {
  return `the device registered (LwM2M ${lwm2mVersion}, binding ${binding}, lifetime ${lifetimeS} s)`;
}
