import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { makeMcubootImage } from "@airlift/protocol/image/make-mcuboot";
import { generateSigningKey, imageCrypto, loadPublicKey, loadSigningKey } from "@airlift/runtime/crypto";
import { type ContractSubject, testHandlers } from "../contract/handlers-contract.ts";
import { createSlots, type Slots } from "./slots.ts";

const key = generateSigningKey("ed25519");
const version = { major: 2, minor: 0, revision: 0, build: 0 };
const goodImage = makeMcubootImage(
  randomBytes(150_000),
  { version },
  { crypto: imageCrypto, key: loadSigningKey(key.privatePem) },
);
const badImage = Uint8Array.from(goodImage).fill(0, 1_000, 1_001 + 64);
const folders: string[] = [];

after(async () => {
  for (const folder of folders) await rm(folder, { recursive: true });
});

async function boot(directory: string): Promise<Slots> {
  const slots = createSlots({ directory, trust: [loadPublicKey(key.publicPem)] });
  await slots.boot();
  return slots;
}

testHandlers("slots", async (): Promise<ContractSubject> => {
  const directory = await mkdtemp(join(tmpdir(), "airlift-slots-"));
  folders.push(directory);
  const { handlers, store } = await boot(directory);
  return { handlers, store, goodImage, badImage, restart: () => boot(directory) };
});
