/** The serving side of bodies that come in blocks: each block goes to a sink before the next one is asked for. */
import { type Block, blockOption, blockSizeWithin, hasBlockLength } from "@airlift/protocol/coap/block-option";
import type { CoapAnswer, UploadSink } from "@airlift/protocol/coap/body";
import { CODE } from "@airlift/protocol/coap/codes";
import { CoapRefusal, type CoapRequest, createResponse, type Peer } from "@airlift/protocol/coap/exchange";
import { OPTION, optionUint, uintOption } from "@airlift/protocol/coap/options";
import { judgeBlock, type Reception, Receptions, receptionKey } from "@airlift/protocol/coap/receptions";
import { DEFAULT_TRANSMISSION, exchangeLifetimeMs } from "@airlift/protocol/coap/transmission";
import { concat, EMPTY } from "@airlift/protocol/lib/bytes";
import type { CoapHandler, ServeOptions } from "./coap.ts";

interface Upload<P extends Peer> {
  readonly sink: UploadSink;
  readonly peer: P;
  /** Its first one, without the payload. */
  readonly request: CoapRequest;
  /** When it is given up even if blocks still come. */
  readonly endsAtMs: number;
  /** The answer to the latest block, given again when the block comes again. */
  latest: CoapAnswer | Promise<CoapAnswer>;
  isEnded: boolean;
}

const DEFAULT_GATHER_BYTES = 65_536;
const DEFAULT_UPLOADS = 1_000;
const DEFAULT_UPLOADS_PER_PEER = 4;
/** A registration of 8 KiB in blocks of 64 octets has seven seconds for each. */
const DEFAULT_GATHER_MS = 15 * 60_000;
const SILENCE_MS = exchangeLifetimeMs(DEFAULT_TRANSMISSION);

export class CoapUploads<P extends Peer> {
  readonly #handler: CoapHandler<P>;
  readonly #options: ServeOptions<P>;
  readonly #receptions: Receptions<Upload<P>>;
  /** Bodies that are on their way, by peer, oldest first. */
  readonly #byPeer = new Map<string, Set<Reception<Upload<P>>>>();
  #timer: NodeJS.Timeout | undefined;

  constructor(handler: CoapHandler<P>, options: ServeOptions<P>) {
    this.#handler = handler;
    this.#options = options;
    this.#receptions = new Receptions({ receptions: options.uploads ?? DEFAULT_UPLOADS, silenceMs: SILENCE_MS });
  }

  /** The answer to one block. @throws {CoapRefusal} 4.00, 4.08, 4.13 or 5.03, or what `receive` refused with. */
  accept(request: CoapRequest, peer: P, block: Block): CoapAnswer | Promise<CoapAnswer> {
    if (!hasBlockLength(block, request.payload.length))
      throw new CoapRefusal(createResponse(CODE.badRequest), "block is not as long as it says");
    const key = receptionKey(peer.key, request);
    const reception = this.#receptions.find(key);
    if (reception && performance.now() >= reception.owned.endsAtMs && !reception.owned.isEnded) {
      this.#end(reception);
      throw new CoapRefusal(createResponse(CODE.requestEntityIncomplete), "the body takes too long");
    }
    const verdict = judgeBlock(reception, block, request.payload);
    if (verdict === "repeat" && reception) return reception.owned.latest;
    if (verdict === "gap") throw new CoapRefusal(createResponse(CODE.requestEntityIncomplete), "a block is missing");
    if (verdict === "next" && reception && !reception.owned.isEnded) return this.#take(reception, request, block);
    if (verdict === "next") throw new CoapRefusal(createResponse(CODE.requestEntityIncomplete), "the body has ended");
    if (reception) this.#end(reception);
    return this.#take(this.#begin(key, request, peer), request, block);
  }

  close(): void {
    clearTimeout(this.#timer);
    for (const reception of this.#receptions.expire(Number.POSITIVE_INFINITY)) this.#end(reception);
  }

  #begin(key: string, request: CoapRequest, peer: P): Reception<Upload<P>> {
    this.#makeRoomFor(peer);
    if (this.#receptions.isFull)
      throw new CoapRefusal(
        createResponse(CODE.serviceUnavailable, EMPTY, [uintOption(OPTION.maxAge, 10)]),
        "too many bodies are on their way",
      );
    const nowMs = performance.now();
    const received = this.#options.receive?.(request, peer);
    if (received && "code" in received) throw new CoapRefusal(received);
    // What goes to a sink is as long as its owner lets it be; what is gathered is ours.
    const endsAtMs = received ? Number.POSITIVE_INFINITY : nowMs + (this.#options.gatherMs ?? DEFAULT_GATHER_MS);
    const sink = received ?? this.#gather(request, peer);
    const latest = createResponse(CODE.continue);
    const upload = { sink, peer, request: { ...request, payload: EMPTY }, endsAtMs, latest, isEnded: false };
    const reception = this.#receptions.add(key, upload, nowMs);
    const others = this.#byPeer.get(peer.key) ?? new Set();
    this.#byPeer.set(peer.key, others.add(reception));
    this.#timer ??= setTimeout(() => this.#expire(), SILENCE_MS).unref();
    return reception;
  }

  /** Blocks of one body are written one after the other, also when a client does not wait for its answers. */
  #take(reception: Reception<Upload<P>>, request: CoapRequest, block: Block): CoapAnswer | Promise<CoapAnswer> {
    const { owned } = reception;
    const offset = reception.receivedBytes;
    this.#receptions.advance(reception, request.payload, performance.now());
    const write = (): CoapAnswer | Promise<CoapAnswer> => {
      if (owned.isEnded) throw new CoapRefusal(createResponse(CODE.requestEntityIncomplete), "the body was given up");
      const written = request.payload.length > 0 ? owned.sink.write(request.payload, offset) : undefined;
      return written ? written.then(() => this.#written(reception, block)) : this.#written(reception, block);
    };
    try {
      const outcome = owned.latest instanceof Promise ? owned.latest.then(write) : write();
      owned.latest = outcome instanceof Promise ? this.#watched(reception, outcome) : outcome;
    } catch (error) {
      this.#end(reception);
      throw error;
    }
    return owned.latest;
  }

  #watched(reception: Reception<Upload<P>>, outcome: Promise<CoapAnswer>): Promise<CoapAnswer> {
    return outcome.catch((error: unknown) => {
      this.#end(reception);
      throw error;
    });
  }

  #written(reception: Reception<Upload<P>>, block: Block): CoapAnswer | Promise<CoapAnswer> {
    const echo = blockOption(OPTION.block1, this.#echoed(block));
    if (block.more) return createResponse(CODE.continue, EMPTY, [echo]);
    const answer = reception.owned.sink.finish();
    const whole = (final: CoapAnswer): CoapAnswer => {
      reception.owned.isEnded = true;
      this.#leave(reception);
      this.#receptions.finish(reception);
      return { ...final, options: [...final.options, echo] };
    };
    return answer instanceof Promise ? answer.then(whole) : whole(answer);
  }

  /** Names the block that was taken; a smaller size asks for smaller ones from here on (RFC 7959 §2.3). */
  #echoed(block: Block): Block {
    const { blockBytes = Number.POSITIVE_INFINITY } = this.#options;
    const isTooLarge = block.isBert ? blockBytes <= block.sizeBytes : blockBytes < block.sizeBytes;
    if (block.number > 0 || !isTooLarge) return block;
    return { number: 0, more: block.more, sizeBytes: blockSizeWithin(blockBytes) };
  }

  /** A peer that begins one body after the other holds no more of them than a few. */
  #makeRoomFor(peer: P): void {
    const others = this.#byPeer.get(peer.key);
    if (others === undefined || others.size < (this.#options.uploadsPerPeer ?? DEFAULT_UPLOADS_PER_PEER)) return;
    const [oldest] = others;
    if (oldest) this.#giveUp(oldest, "the peer began too many bodies");
  }

  #giveUp(reception: Reception<Upload<P>>, why: string): void {
    this.#end(reception);
    const { request, peer } = reception.owned;
    this.#options.onBodyRefused?.({ request, code: CODE.requestEntityIncomplete, why }, peer);
  }

  #leave(reception: Reception<Upload<P>>): void {
    const { key } = reception.owned.peer;
    const others = this.#byPeer.get(key);
    others?.delete(reception);
    if (others?.size === 0) this.#byPeer.delete(key);
  }

  #end(reception: Reception<Upload<P>>): void {
    this.#receptions.remove(reception);
    this.#leave(reception);
    const { owned } = reception;
    if (owned.isEnded) return;
    owned.isEnded = true;
    owned.sink.abort();
  }

  #expire(): void {
    this.#timer = undefined;
    const nowMs = performance.now();
    for (const reception of this.#receptions.expire(nowMs)) this.#giveUp(reception, "no more blocks of the body came");
    const dueMs = this.#receptions.wakeAtMs;
    if (dueMs !== undefined) this.#timer = setTimeout(() => this.#expire(), Math.ceil(dueMs - nowMs)).unref();
  }

  /** A sink in memory, for handlers that want the body whole. */
  #gather(request: CoapRequest, peer: P): UploadSink {
    const limit = this.#options.gatherBytes ?? DEFAULT_GATHER_BYTES;
    const refuse = (): never => {
      const tooLarge = createResponse(CODE.requestEntityTooLarge, EMPTY, [uintOption(OPTION.size1, limit)]);
      throw new CoapRefusal(tooLarge, `the body is longer than ${limit} octets`);
    };
    if ((optionUint(request.options, OPTION.size1) ?? 0) > limit) refuse();
    const parts: Uint8Array[] = [];
    const options = request.options.filter(({ number }) => number !== OPTION.block1 && number !== OPTION.size1);
    return {
      write: (bytes, offset) => {
        if (offset + bytes.length > limit) refuse();
        parts.push(bytes.slice());
      },
      finish: () => this.#handler({ code: request.code, options, payload: concat(parts) }, peer, undefined),
      abort: () => {
        parts.length = 0;
      },
    };
  }
}
