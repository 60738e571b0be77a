/** Child process: devices that are observed and notify, confirmably, as fast as the server acknowledges. */
import { createSocket, type Socket } from "node:dgram";
import { CODE, METHOD } from "@airlift/protocol/coap/codes";
import { decodeMessage, encodeMessage, MESSAGE_TYPE } from "@airlift/protocol/coap/message";
import { OPTION, optionUint, pathOptions, queryOptions, uintOption } from "@airlift/protocol/coap/options";
import { EMPTY, encodeUtf8 } from "@airlift/protocol/lib/bytes";

const [port = 0, seconds = 3, deviceCount = 16, mode = 0] = process.argv.slice(2).map(Number);
const WINDOW = 4;
const RESEND_MS = 200;
const value = encodeUtf8("21.5");

class Device {
  readonly #socket: Socket = createSocket({ type: "udp4", lookup: (host, _options, done) => done(null, host, 4) });
  readonly #sentAtMs = new Map<number, number>();
  #messageId = 0;
  #sequence = 1;
  #token: Uint8Array | undefined;
  readonly observed = Promise.withResolvers<void>();
  acknowledged = 0;
  lost = 0;

  async register(endpoint: string): Promise<void> {
    await new Promise<void>((resolve) => this.#socket.bind(0, "127.0.0.1", resolve));
    this.#socket.on("message", (bytes) => this.#receive(bytes));
    this.#send({
      type: MESSAGE_TYPE.confirmable,
      code: METHOD.post,
      messageId: 0,
      token: Uint8Array.of(1),
      options: [
        ...pathOptions("/rd"),
        uintOption(OPTION.contentFormat, 40),
        ...queryOptions(`ep=${endpoint}&lt=86400&lwm2m=1.1&b=U`),
      ],
      payload: encodeUtf8("</3/0>,</3303/0>"),
    });
    await this.observed.promise;
  }

  notify(): void {
    if (this.#token === undefined) return;
    this.#messageId = (this.#messageId + 1) & 0xffff;
    this.#sequence = (this.#sequence + 1) & 0xff_ffff;
    this.#sentAtMs.set(this.#messageId, performance.now());
    const options = [uintOption(OPTION.observe, this.#sequence), uintOption(OPTION.contentFormat, 0)];
    const type = mode === 0 ? MESSAGE_TYPE.confirmable : MESSAGE_TYPE.nonConfirmable;
    const messageId = this.#messageId;
    this.#send({ type, code: CODE.content, messageId, token: this.#token, options, payload: value });
  }

  /** What was not acknowledged makes room for a new one: a newer value says the same. */
  renew(): void {
    const nowMs = performance.now();
    for (const [messageId, sentAtMs] of this.#sentAtMs) {
      if (nowMs - sentAtMs < RESEND_MS) continue;
      this.#sentAtMs.delete(messageId);
      this.lost += 1;
      this.notify();
    }
  }

  close(): void {
    this.#socket.close();
  }

  #receive(bytes: Uint8Array): void {
    if (bytes.length === 4) {
      // An acknowledgement of a notification: no code, no token.
      if (!this.#sentAtMs.delete(((bytes[2] ?? 0) << 8) | (bytes[3] ?? 0))) return;
      this.acknowledged += 1;
      this.notify();
      return;
    }
    const message = decodeMessage(bytes);
    if (message.code !== METHOD.get) return;
    const { messageId, token } = message;
    const isObserved = optionUint(message.options, OPTION.observe) === 0;
    const options = isObserved ? [uintOption(OPTION.observe, 1), uintOption(OPTION.contentFormat, 0)] : [];
    const code = isObserved ? CODE.content : CODE.notFound;
    const payload = isObserved ? value : EMPTY;
    this.#send({ type: MESSAGE_TYPE.acknowledgement, code, messageId, token, options, payload });
    if (!isObserved) return;
    this.#token = token.slice();
    this.observed.resolve();
  }

  #send(message: Parameters<typeof encodeMessage>[0]): void {
    this.#socket.send(encodeMessage(message), port, "127.0.0.1");
  }
}

const devices = Array.from({ length: deviceCount }, () => new Device());
await Promise.all(devices.map((device, n) => device.register(`bench-${n}`)));
process.send?.("observed");
for (const device of devices) for (let i = 0; i < WINDOW; i += 1) device.notify();
const renewing = setInterval(() => {
  for (const device of devices) device.renew();
}, RESEND_MS);
const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
await wait(500);
process.send?.("warm");
for (const device of devices) device.acknowledged = device.lost = 0;
const startMs = performance.now();
await wait(seconds * 1000);
const tookSeconds = (performance.now() - startMs) / 1000;
clearInterval(renewing);
const count = devices.reduce((sum, device) => sum + device.acknowledged, 0);
process.send?.({ count, perSecond: count / tookSeconds, lost: devices.reduce((sum, device) => sum + device.lost, 0) });
for (const device of devices) device.close();
process.disconnect?.();
