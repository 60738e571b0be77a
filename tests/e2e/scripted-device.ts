/** A device that does exactly what a test says: a CoAP endpoint with a handful of resources, and no update agent inside. */
import type { UploadSink } from "@airlift/protocol/coap/body";
import { CODE, METHOD } from "@airlift/protocol/coap/codes";
import { type CoapRequest, type CoapResponse, createRequest, createResponse } from "@airlift/protocol/coap/exchange";
import { OPTION, optionTexts, uintOption, uriPath } from "@airlift/protocol/coap/options";
import { decodeUtf8, encodeUtf8 } from "@airlift/protocol/lib/bytes";
import { EnvironmentError } from "@airlift/protocol/lib/errors";
import { type CoapUdp, openCoapUdp } from "@airlift/runtime/coap-udp";
import { udpPeer } from "@airlift/runtime/udp";

interface ScriptedDeviceOptions {
  readonly serverPort: number;
  readonly blockBytes: number | undefined;
}

export class ScriptedDevice {
  readonly coap: CoapUdp;
  readonly endpoint: string;
  readonly #server;
  /** What a read of a path answers; absent = 4.04. */
  readonly resources = new Map<string, string>([
    ["/3/0/3", "1.0.0"],
    ["/5/0/3", "0"],
    ["/5/0/5", "0"],
    ["/5/0/9", "2"],
  ]);
  /** Every request that came, as "PUT /5/0/1 coap://…". */
  readonly heard: string[] = [];
  /** Decides before the resources do. */
  script: (verb: string, path: string, payload: Uint8Array) => CoapResponse | undefined = () => undefined;
  received: Uint8Array[] = [];

  private constructor(coap: CoapUdp, endpoint: string, { serverPort, blockBytes }: ScriptedDeviceOptions) {
    this.coap = coap;
    this.endpoint = endpoint;
    this.#server = udpPeer("127.0.0.1", serverPort);
    coap.serve((request) => this.#answer(request), { receive: (request) => this.#receive(request), blockBytes });
  }

  /** @param blockBytes Largest block it sends: 16 … 1024. */
  static async open(endpoint: string, serverPort: number, blockBytes?: number, port = 0): Promise<ScriptedDevice> {
    return new ScriptedDevice(await openCoapUdp({ host: "127.0.0.1", port }), endpoint, { serverPort, blockBytes });
  }

  async register(query = "lt=60&lwm2m=1.1&b=U", links = "</3/0>,</5/0>"): Promise<string> {
    const payload = encodeUtf8(links);
    const options = [uintOption(OPTION.contentFormat, 40)];
    const request = createRequest("post", `/rd?ep=${this.endpoint}&${query}`, { payload, options });
    const response = await this.coap.request(this.#server, request);
    if (response.code !== CODE.created) throw new Error(`not registered: ${response.code}`);
    return `/${optionTexts(response.options, OPTION.locationPath).join("/")}`;
  }

  request(...args: Parameters<typeof createRequest>): Promise<CoapResponse> {
    return this.coap.request(this.#server, createRequest(...args));
  }

  close(): Promise<void> {
    return this.coap.close();
  }

  #answer(request: CoapRequest): CoapResponse {
    const path = `/${uriPath(request.options).join("/")}`;
    const verb =
      Object.entries(METHOD)
        .find(([, code]) => code === request.code)?.[0]
        .toUpperCase() ?? "?";
    this.heard.push(`${verb} ${path} ${decodeUtf8(request.payload) ?? ""}`.trim());
    const scripted = this.script(verb, path, request.payload);
    if (scripted) return scripted;
    if (request.code !== METHOD.get) return createResponse(CODE.changed);
    const value = this.resources.get(path);
    if (value === undefined) return createResponse(path.split("/").length < 4 ? CODE.methodNotAllowed : CODE.notFound);
    return createResponse(CODE.content, encodeUtf8(value), [uintOption(OPTION.contentFormat, 0)]);
  }

  #receive(request: CoapRequest): UploadSink | undefined {
    if (`/${uriPath(request.options).join("/")}` !== "/5/0/0") return undefined;
    this.received = [];
    return {
      write: (bytes) => {
        this.received.push(bytes.slice());
      },
      finish: () => {
        this.heard.push(`PUSHED ${this.received.reduce((sum, part) => sum + part.length, 0)}`);
        return this.script("PUSHED", "/5/0/0", Buffer.concat(this.received)) ?? createResponse(CODE.changed);
      },
      abort: () => this.heard.push("PUSH BROKEN"),
    };
  }
}

/** Lets a script's errand end with its device: what is still under way when the device closes is nobody's failure. */
export async function untilClosed(errand: Promise<unknown>): Promise<void> {
  await errand.catch((error) => {
    if (!(error instanceof EnvironmentError && error.code === "COAP_CLOSED")) throw error;
  });
}
