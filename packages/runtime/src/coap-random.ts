/** Chance for CoAP endpoints. */
import { randomBytes } from "node:crypto";

/** Uniform numbers from the system's generator: tokens must not be guessable (RFC 7252 §5.3.1). */
export function createRandom(): () => number {
  const words = new Uint32Array(256);
  let next = words.length;
  return () => {
    if (next === words.length) {
      words.set(new Uint32Array(Uint8Array.from(randomBytes(words.byteLength)).buffer));
      next = 0;
    }
    const word = words[next] as number;
    next += 1;
    return word / 2 ** 32;
  };
}
