/** The tests that every radio link must pass. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { LARGEST_FRAME_BYTES } from "@airlift/protocol/zmesh/frame";
import type { RadioLink } from "../links/radio-link.ts";

/** Two radios in reach of each other, both up. */
export interface LinkPair {
  readonly a: RadioLink;
  readonly b: RadioLink;
  /** Frees what stands between the two; the links are closed already. */
  close(): Promise<void>;
}

/** How long a frame may take before a test fails. */
const PATIENCE_MS = 10_000;

/** Registers the tests; `create` makes a fresh pair for each. */
export function testRadioLink(name: string, create: () => Promise<LinkPair>): void {
  const withPair = (what: string, use: (pair: LinkPair) => Promise<void>): void => {
    test(`${name}: ${what}`, { timeout: 30_000 }, async () => {
      const pair = await create();
      try {
        await use(pair);
      } finally {
        await Promise.all([pair.a.close(), pair.b.close()]);
        await pair.close();
      }
    });
  };

  withPair("frames of every length go both ways, whole and in order", async ({ a, b }) => {
    const frames = [15, 16, 62, 63, 64, 127, 512, LARGEST_FRAME_BYTES].map(frameOf);
    assert.deepEqual(await exchange(a, b, frames), frames);
    assert.deepEqual(await exchange(b, a, frames), frames);
  });

  withPair("octets that framing uses itself arrive as they are", async ({ a, b }) => {
    const frames = [0xc0, 0xdb, 0xdc, 0xdd, 0x00, 0xff].map((octet) => new Uint8Array(40).fill(octet));
    assert.deepEqual(await exchange(a, b, frames), frames);
  });

  withPair("a frame may be changed as soon as it was given away", async ({ a, b }) => {
    const frame = frameOf(100);
    const heard = listenFor(b, 1);
    a.send(frame);
    frame.fill(0);
    assert.deepEqual(await heard, [frameOf(100)]);
  });

  withPair("counts say what went by", async ({ a, b }) => {
    await exchange(a, b, [frameOf(20), frameOf(21)]);
    assert.equal(a.counts.isUp, true);
    assert.equal(a.counts.sentCount, 2);
    assert.equal(b.counts.heardCount, 2);
    assert.equal(b.counts.healedCount, 0);
  });

  withPair("after close nothing goes out, nothing is heard, and closing again is no mistake", async ({ a, b }) => {
    await exchange(a, b, [frameOf(20)]);
    b.listen(() => assert.fail("a closed link heard something"));
    await b.close();
    await b.close();
    b.send(frameOf(30));
    a.send(frameOf(30));
    assert.equal(b.counts.isUp, false);
  });
}

/** Sends all and waits until as many were heard. */
export async function exchange(from: RadioLink, to: RadioLink, frames: readonly Uint8Array[]): Promise<Uint8Array[]> {
  const heard = listenFor(to, frames.length);
  from.listen(() => undefined);
  for (const frame of frames) from.send(frame);
  return await heard;
}

/** The next `count` frames. */
export function listenFor(link: RadioLink, count: number): Promise<Uint8Array[]> {
  return new Promise((resolve, reject) => {
    const frames: Uint8Array[] = [];
    const timer = setTimeout(() => reject(new Error(`heard ${frames.length} of ${count} frames`)), PATIENCE_MS);
    link.listen((frame) => {
      frames.push(frame);
      if (frames.length < count) return;
      clearTimeout(timer);
      resolve(frames);
    });
  });
}

/** Octets that differ from place to place. */
const frameOf = (sizeBytes: number): Uint8Array =>
  Uint8Array.from({ length: sizeBytes }, (_, i) => (i * 7 + sizeBytes) & 0xff);
