/** The times of the message layer (RFC 7252 §4.8). */
import { UsageError } from "../lib/errors.ts";

/** Timing of one CoAP endpoint, or of one exchange. */
export interface TransmissionParameters {
  readonly ackTimeoutMs: number;
  /** Upper bound of the first timeout as a factor of `ackTimeoutMs`; at least 1. */
  readonly ackRandomFactor: number;
  readonly maxRetransmit: number;
}

/** The defaults of RFC 7252 §4.8: a silent peer is given up after 62 … 93 s. */
export const DEFAULT_TRANSMISSION: TransmissionParameters = {
  ackTimeoutMs: 2_000,
  ackRandomFactor: 1.5,
  maxRetransmit: 4,
};

/** MAX_LATENCY: how long a datagram may wander in the network. */
const MAX_LATENCY_MS = 100_000;

/** @throws {UsageError} `COAP_TRANSMISSION` */
export function checkTransmission(parameters: TransmissionParameters): TransmissionParameters {
  const { ackTimeoutMs, ackRandomFactor, maxRetransmit } = parameters;
  const isSane = ackTimeoutMs > 0 && ackRandomFactor >= 1 && Number.isInteger(maxRetransmit) && maxRetransmit >= 0;
  if (!isSane || maxRetransmit > 20)
    throw new UsageError("COAP_TRANSMISSION", "transmission parameters out of range", { ...parameters });
  return parameters;
}

/** MAX_TRANSMIT_SPAN: from the first to the last transmission of a confirmable message; 45 s. */
export function maxTransmitSpanMs({ ackTimeoutMs, ackRandomFactor, maxRetransmit }: TransmissionParameters): number {
  return ackTimeoutMs * (2 ** maxRetransmit - 1) * ackRandomFactor;
}

/** MAX_TRANSMIT_WAIT: from the first transmission until the sender gives up; 93 s. */
export function maxTransmitWaitMs({ ackTimeoutMs, ackRandomFactor, maxRetransmit }: TransmissionParameters): number {
  return ackTimeoutMs * (2 ** (maxRetransmit + 1) - 1) * ackRandomFactor;
}

/** EXCHANGE_LIFETIME: until a Message ID of a confirmable message may be used again; 247 s (PROCESSING_DELAY = ACK_TIMEOUT). */
export function exchangeLifetimeMs(parameters: TransmissionParameters): number {
  return maxTransmitSpanMs(parameters) + 2 * MAX_LATENCY_MS + parameters.ackTimeoutMs;
}

/** NON_LIFETIME: the same for a non-confirmable message; 145 s. */
export function nonLifetimeMs(parameters: TransmissionParameters): number {
  return maxTransmitSpanMs(parameters) + MAX_LATENCY_MS;
}
