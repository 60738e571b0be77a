import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { after, afterEach, before, beforeEach, test } from "node:test";
import type { CreatedWebhook, NewWebhook, WebhookDelivery } from "@airlift/protocol/api/webhooks";
import { Client } from "pg";
import type { Stores } from "../store/ports.ts";
import { openScratchStores, openSecondStores, type ScratchStores } from "../store/scratch-stores.ts";
import type { LeasedDelivery } from "../store/webhook-outbox.ts";
import { WebhookSender, type WebhookSenderOptions } from "./webhook-sender.ts";

interface Got {
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

/** Everything is retried as soon as possible; a deadline that only what hangs meets. */
const FAST: WebhookSenderOptions = { retry: { firstMs: 1, longestMs: 2 }, timeoutMs: 500, lookEveryMs: 5, graceMs: 20 };
const ANYWHERE = { allowsHttp: true, allowsPrivate: true };
const log = { warn: () => {}, debug: () => {} };

let scratch: ScratchStores;
let receiver: Server;
let url: string;
let got: Got[];
/** What the receiver does with a request; 204 unless a test says otherwise. */
let answer: (response: ServerResponse, one: Got) => void;
let senders: WebhookSender[];

before(async () => {
  scratch = await openScratchStores();
});
after(() => scratch.close());
beforeEach(async () => {
  got = [];
  senders = [];
  answer = (response) => response.writeHead(204).end();
  receiver = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const one = { headers: request.headers, body: Buffer.concat(chunks).toString("utf8") };
      got.push(one);
      answer(response, one);
    });
  }).listen(0, "127.0.0.1");
  await once(receiver, "listening");
  url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook`;
});
afterEach(async () => {
  for (const sender of senders) await sender.close();
  for (const { id } of await scratch.stores.webhooks.list()) await scratch.stores.webhooks.remove(id);
  receiver.closeAllConnections();
  receiver.close();
});

const add = (asked: Partial<NewWebhook> = {}): Promise<CreatedWebhook> =>
  scratch.stores.webhooks.add({ url, ...asked });

function startSender(options: WebhookSenderOptions = FAST, stores: Stores = scratch.stores, policy = ANYWHERE) {
  const { outbox, events } = stores;
  const sender = new WebhookSender({ outbox, events, policy, log }, options);
  senders.push(sender);
  sender.start();
  return sender;
}

const tell = (sentence: string, campaignId: string | null = null) =>
  scratch.stores.events.append({ kind: "update.note", sentence, campaignId });

async function deliveriesOf(id: string): Promise<WebhookDelivery[]> {
  return (await scratch.stores.webhooks.deliveries(id, undefined, { limit: 1000 })).items;
}

/** Looks again and again: the sender tells nobody when it is done. */
async function until(id: string, isSo: (deliveries: WebhookDelivery[]) => boolean): Promise<WebhookDelivery[]> {
  for (;;) {
    const deliveries = await deliveriesOf(id);
    if (isSo(deliveries)) return deliveries;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

const areOver = (count: number) => (deliveries: WebhookDelivery[]) =>
  deliveries.length === count && deliveries.every(({ state }) => state !== "waiting");

const sentencesOf = (all: readonly Got[]) => all.map(({ body }) => JSON.parse(body).data.sentence).sort();

test("an event is sent with a signature over id, time and body that the secret proves", async () => {
  const { id, secret } = await add();
  startSender();
  const event = await tell("pump-7 is done");
  await until(id, areOver(1));
  const [{ headers, body }] = got as [Got];
  assert.deepEqual(JSON.parse(body), { type: "update.note", timestamp: event.at, data: event });
  assert.equal(headers["webhook-id"], `${id}-${event.id}`);
  const key = Buffer.from(secret.slice("whsec_".length), "base64");
  const signed = `${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`;
  assert.equal(headers["webhook-signature"], `v1,${createHmac("sha256", key).update(signed).digest("base64")}`);
  assert.ok(Math.abs(Number(headers["webhook-timestamp"]) - Date.now() / 1000) < 60);
});

test("a receiver that fails is asked again under the same id until it takes it", async () => {
  const { id } = await add();
  answer = (response) => response.writeHead(got.length < 4 ? 500 : 200).end();
  startSender();
  await tell("again and again");
  const [delivery] = await until(id, areOver(1));
  assert.deepEqual([delivery?.state, delivery?.attempts, delivery?.status], ["delivered", 4, 200]);
  assert.equal(new Set(got.map(({ headers }) => headers["webhook-id"])).size, 1);
});

test("what is given up is a dead letter with its reason, and can be sent once more", async () => {
  const { id } = await add();
  answer = (response) => response.writeHead(503).end();
  startSender({ ...FAST, retry: { firstMs: 1, longestMs: 2, mostAttempts: 3 } });
  await tell("nobody wants it");
  const [dead] = await until(id, areOver(1));
  assert.deepEqual([dead?.state, dead?.attempts], ["dead", 3]);
  assert.match(`${dead?.problem}`, /answered 503; given up after 3 attempts/);
  assert.equal((await scratch.stores.webhooks.get(id)).deadCount, 1);
  answer = (response) => response.writeHead(200).end();
  assert.equal(await scratch.stores.webhooks.replay(id), 1);
  const [sent] = await until(id, areOver(1));
  assert.deepEqual([sent?.state, sent?.id], ["delivered", dead?.id]);
});

test("a receiver that hangs runs into the deadline, and holds up no other", async () => {
  const hanging = await add();
  const good = await add({ kinds: ["update.note"] });
  const goodSecret = good.id;
  answer = (response, { headers }) => {
    if (`${headers["webhook-id"]}`.startsWith(goodSecret)) response.writeHead(204).end();
  };
  startSender({ ...FAST, timeoutMs: 300, perWebhook: 2, retry: { mostAttempts: 1 } });
  for (let n = 0; n < 6; n += 1) await tell(`event ${n}`);
  await until(good.id, areOver(6));
  const stuck = await until(hanging.id, areOver(6));
  assert.ok(stuck.every(({ problem }) => /no answer within 0.3 s/.test(`${problem}`)));
});

test("several receivers that hang leave places to the others: who has the fewest requests goes first", async () => {
  const [hanging, good] = [await add(), await add()];
  await tell("for both");
  await scratch.stores.outbox.fill();
  const taken = await scratch.stores.outbox.take(8, new Map([[hanging.id, 7]]), 1);
  assert.deepEqual(
    taken.map(({ webhookId }) => webhookId),
    [good.id],
  );
});

test("a receiver that is away is tried again when it is back", async () => {
  const { id } = await add();
  const { port } = receiver.address() as AddressInfo;
  receiver.close();
  await once(receiver, "close");
  startSender();
  await tell("nobody is there");
  await until(id, ([delivery]) => (delivery?.attempts ?? 0) > 2 && /ECONNREFUSED/.test(`${delivery?.problem}`));
  receiver.listen(port, "127.0.0.1");
  const [delivery] = await until(id, areOver(1));
  assert.equal(delivery?.state, "delivered");
});

test("a redirect is not followed, and a receiver that is gone for good is not asked again", async () => {
  const { id } = await add();
  answer = (response) => response.writeHead(302, { location: "http://127.0.0.1:1/" }).end();
  startSender({ ...FAST, retry: { firstMs: 1, mostAttempts: 1 } });
  await tell("this way");
  const [redirected] = await until(id, areOver(1));
  assert.match(`${redirected?.problem}`, /answered 302: redirects are not followed/);
  answer = (response) => response.writeHead(410).end();
  await tell("over");
  const [gone] = await until(id, areOver(2));
  assert.deepEqual([gone?.state, gone?.attempts], ["dead", 1]);
});

test("a receiver that is gone is told nothing more, with the reason on record, until somebody enables it", async () => {
  const { webhooks, events } = scratch.stores;
  const { id } = await add();
  answer = (response) => response.writeHead(410).end();
  startSender();
  await tell("over");
  await until(id, areOver(1));
  const disabled = await webhooks.get(id);
  assert.deepEqual(
    [disabled.isEnabled, disabled.disabledReason],
    [false, "its receiver answered 410 Gone: it wants to hear nothing more"],
  );
  const told = (await events.list({}, { limit: 10 })).items.find(({ kind }) => kind === "webhook.disabled");
  assert.equal(told?.sentence, `webhook ${id} to ${new URL(url).host} was disabled: ${disabled.disabledReason}`);
  answer = (response) => response.writeHead(204).end();
  await tell("nobody hears this");
  const enabled = await webhooks.edit(id, { isEnabled: true });
  assert.deepEqual([enabled.isEnabled, enabled.disabledReason], [true, null]);
  await tell("back");
  const [back] = await until(id, areOver(2));
  assert.equal(back?.state, "delivered");
  assert.deepEqual(sentencesOf(got), ["back", "over"]);
});

test("a webhook that got another address meanwhile goes on in spite of the old one's 410", async () => {
  const { id } = await add();
  const open: ServerResponse[] = [];
  answer = (response) => void open.push(response);
  startSender({ ...FAST, timeoutMs: 60_000 });
  await tell("on its way");
  while (open.length === 0) await new Promise((resolve) => setImmediate(resolve));
  await scratch.stores.webhooks.edit(id, { url: `${url}/other` });
  open[0]?.writeHead(410).end();
  await until(id, areOver(1));
  assert.equal((await scratch.stores.webhooks.get(id)).isEnabled, true);
});

test("only the kinds and the campaign that were asked for are sent; rest and deletion end it", async () => {
  const ofCampaign = await add({ campaignId: "c1" });
  const ofKind = await add({ kinds: ["image.added"] });
  startSender();
  await tell("of c1", "c1");
  await tell("of c2", "c2");
  await scratch.stores.events.append({ kind: "image.added", sentence: "an image" });
  await until(ofCampaign.id, areOver(1));
  await until(ofKind.id, areOver(1));
  assert.deepEqual(sentencesOf(got), ["an image", "of c1"]);
  await scratch.stores.webhooks.edit(ofKind.id, { isEnabled: false });
  await scratch.stores.events.append({ kind: "image.added", sentence: "unheard" });
  await scratch.stores.webhooks.edit(ofKind.id, { isEnabled: true });
  await scratch.stores.events.append({ kind: "image.added", sentence: "heard" });
  await until(ofKind.id, areOver(2));
  assert.deepEqual(sentencesOf(got), ["an image", "heard", "of c1"]);
});

test("a secret that cannot be opened is that webhook's dead letter, with its reason, and holds up no other", async () => {
  const broken = await add();
  const good = await add();
  const damage = "update webhooks set secret = set_byte(secret, 20, get_byte(secret, 20) # 1) where id = $1";
  const client = new Client(scratch.database.url);
  await client.connect();
  await client.query(damage, [broken.id]);
  await client.end();
  startSender();
  await tell("for both");
  const [sent] = await until(good.id, areOver(1));
  assert.equal(sent?.state, "delivered");
  const [dead] = await until(broken.id, areOver(1));
  assert.deepEqual([dead?.state, dead?.attempts], ["dead", 1]);
  assert.match(`${dead?.problem}`, /secret cannot be opened.*add it anew/);
});

test("two servers share the deliveries: each is sent once, and one that was left under way is sent again", async () => {
  const { id } = await add();
  const second = await openSecondStores(scratch);
  try {
    startSender();
    const other = startSender(FAST, second);
    for (let n = 0; n < 60; n += 1) await tell(`event ${n}`);
    await until(id, areOver(60));
    assert.equal(new Set(got.map(({ headers }) => headers["webhook-id"])).size, 60);
    assert.equal(got.length, 60);
    await other.close();
  } finally {
    await second.close();
  }
});

test("a server that ends lets a request under way come to its end", async () => {
  const { id } = await add();
  const held: ServerResponse[] = [];
  answer = (response) => held.push(response);
  const sender = startSender({ ...FAST, graceMs: 10_000, timeoutMs: 10_000 });
  await tell("just in time");
  await until(id, () => held.length === 1);
  const closed = sender.close();
  held[0]?.writeHead(204).end();
  await closed;
  const [delivery] = await deliveriesOf(id);
  assert.deepEqual([delivery?.state, delivery?.attempts], ["delivered", 1]);
});

test("a server that ends in the middle of a request leaves the delivery to the next", async () => {
  const { id } = await add();
  answer = () => {};
  const first = startSender();
  await tell("half sent");
  await until(id, () => got.length === 1);
  await first.close();
  assert.equal((await deliveriesOf(id))[0]?.attempts, 0);
  answer = (response) => response.writeHead(204).end();
  startSender();
  const [delivery] = await until(id, areOver(1));
  assert.deepEqual([delivery?.state, delivery?.attempts], ["delivered", 1]);
});

test("private addresses are refused also behind a name, when the connection is made", async () => {
  const { id } = await add({ url: url.replace("127.0.0.1", "localhost") });
  startSender({ ...FAST, retry: { mostAttempts: 1 } }, scratch.stores, { allowsHttp: true, allowsPrivate: false });
  await tell("not to me");
  const [delivery] = await until(id, areOver(1));
  assert.match(`${delivery?.problem}`, /private address/);
  assert.deepEqual(got, []);
});

test("a test is tried once and says how it went; a database that is away loses nothing", async () => {
  const { id } = await add();
  startSender();
  await scratch.stores.webhooks.test(id);
  const [delivery] = await until(id, areOver(1));
  assert.deepEqual([delivery?.kind, delivery?.state], ["webhook.test", "delivered"]);
  await tell("before");
  await until(id, areOver(2));
  await scratch.database.pause();
  await scratch.database.resume();
  await tell("after");
  await until(id, areOver(3)).catch(() => until(id, areOver(3)));
});

test("the secret is sealed where it is kept, and survives a change of the master key", async () => {
  const { id, secret } = await add();
  const key = Buffer.from(secret.slice("whsec_".length), "base64");
  const { keyVersion } = await scratch.stores.credentials.rotateMasterKey();
  assert.ok(keyVersion);
  await scratch.stores.webhooks.test(id);
  // A clock that is set back makes it due a little later.
  let leased: LeasedDelivery | undefined;
  while (leased === undefined) [leased] = await scratch.stores.outbox.take(1, new Map(), 1);
  assert.deepEqual(leased.secret, key);
});
