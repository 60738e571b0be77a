import assert from "node:assert/strict";
import { createHash, generateKeyPairSync, sign } from "node:crypto";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, beforeEach, describe, test } from "node:test";
import type { FastifyInstance } from "fastify";
import { pino } from "pino";
import { openScratchStores, type ScratchStores } from "../store/scratch-stores.ts";
import { createApi } from "./create-api.ts";
import { roleOf } from "./oidc.ts";
import type { ApiParts } from "./routes.ts";

const CLIENT = { clientId: "airlift", clientSecret: "the client's secret" };
const keys = generateKeyPairSync("rsa", { modulusLength: 2048 });
let scratch: ScratchStores;
let api: FastifyInstance;
let provider: Server;
let issuer: string;
let admin: string;
/** What the provider says of whoever signs in, and what it was told by the browser. */
let claims: Record<string, unknown>;
let asked: URLSearchParams;
const base64url = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");

/** A provider with one person, who always agrees. */
function startProvider(): Server {
  return createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify(answerOf(request.url ?? "", Buffer.concat(chunks).toString())));
    });
  });
}

function answerOf(path: string, body: string): object {
  if (path === "/.well-known/openid-configuration")
    return {
      issuer,
      authorization_endpoint: `${issuer}/authorize`,
      token_endpoint: `${issuer}/token`,
      jwks_uri: `${issuer}/keys`,
      response_types_supported: ["code"],
      subject_types_supported: ["public"],
      id_token_signing_alg_values_supported: ["RS256"],
    };
  if (path === "/keys")
    return { keys: [{ ...keys.publicKey.export({ format: "jwk" }), kid: "1", alg: "RS256", use: "sig" }] };
  const sent = new URLSearchParams(body);
  const challenge = createHash("sha256")
    .update(`${sent.get("code_verifier")}`)
    .digest("base64url");
  assert.equal(challenge, asked.get("code_challenge"), "the verifier is that of the browser that began");
  assert.equal(sent.get("redirect_uri"), asked.get("redirect_uri"));
  const nowS = Math.floor(Date.now() / 1000);
  const whole = {
    iss: issuer,
    aud: CLIENT.clientId,
    sub: "s-1",
    iat: nowS,
    exp: nowS + 60,
    nonce: asked.get("nonce"),
    ...claims,
  };
  const signed = `${base64url({ alg: "RS256", kid: "1" })}.${base64url(whole)}`;
  const idToken = `${signed}.${sign("sha256", Buffer.from(signed), keys.privateKey).toString("base64url")}`;
  return { access_token: "a", token_type: "bearer", expires_in: 60, id_token: idToken };
}

before(async () => {
  scratch = await openScratchStores();
  admin = (await scratch.stores.tokens.create({ name: "root", role: "admin" })).token;
  provider = startProvider().listen(0, "127.0.0.1");
  await once(provider, "listening");
  issuer = `http://127.0.0.1:${(provider.address() as AddressInfo).port}`;
  api = await createApi({
    config: { httpHost: "127.0.0.1", publicHost: null, maxImageBytes: 1, noAuth: false },
    stores: scratch.stores,
    commands: {} as ApiParts["commands"],
    fleet: {} as ApiParts["fleet"],
    oidc: {
      issuer,
      ...CLIENT,
      roleClaim: "realm_access.roles",
      nameClaim: "preferred_username",
      roles: new Map([["fleet team", "approver"]]),
    },
    log: pino({ level: "silent" }),
  });
});
beforeEach(() => {
  claims = { preferred_username: "ann", realm_access: { roles: ["admin", "airlift-viewer", "fleet team"] } };
});
after(async () => {
  provider.closeAllConnections();
  provider.close();
  await api.close();
  await scratch.close();
});

const ask = (url: string, cookie?: string) =>
  api.inject({ url, headers: { host: "fleet.example", ...(cookie !== undefined && { cookie }) } });
const cookieOf = (answer: Awaited<ReturnType<typeof ask>>, name: string) =>
  answer.cookies.findLast((one) => one.name === name && one.value !== "");

/** To the provider and back, with what was changed on the way. */
async function signIn(change: (back: URLSearchParams) => void = () => {}) {
  const begun = await ask("/api/v1/session/oidc");
  assert.equal(begun.statusCode, 302, begun.body);
  const url = new URL(`${begun.headers.location}`);
  assert.equal(`${url.origin}${url.pathname}`, `${issuer}/authorize`);
  asked = url.searchParams;
  assert.equal(asked.get("redirect_uri"), "http://fleet.example/api/v1/session/oidc/callback");
  const kept = cookieOf(begun, "airlift_oidc");
  assert.deepEqual([kept?.httpOnly, kept?.sameSite], [true, "Lax"]);
  const back = new URLSearchParams({ code: "c", state: `${asked.get("state")}` });
  change(back);
  return await ask(`/api/v1/session/oidc/callback?${back}`, `airlift_oidc=${kept?.value}`);
}
const codeOf = (answer: Awaited<ReturnType<typeof ask>>) => `${answer.statusCode} ${answer.json().code}`;

describe("signing in with a provider", () => {
  test("whoever comes back has a session with the highest role that the claim names, and goes on to the console", async () => {
    const answer = await signIn();
    assert.deepEqual([answer.statusCode, answer.headers.location], [303, "/"]);
    const session = cookieOf(answer, "airlift_session");
    assert.deepEqual([session?.httpOnly, session?.sameSite], [true, "Strict"]);
    const who = await ask("/api/v1/session", `airlift_session=${session?.value}`);
    assert.deepEqual([who.json().name, who.json().role], ["ann", "approver"]);
    assert.equal(who.json().account, `account ${issuer} s-1`);
    const [listed] = (await scratch.stores.tokens.list({ limit: 1 })).items;
    assert.deepEqual([listed?.name, listed?.role], ["ann", "approver"]);
    const { body } = await api.inject({ url: "/api/v1/audit", headers: { authorization: `Bearer ${admin}` } });
    assert.match(
      body,
      /"who":"ann","person":"account http:[^ ]+ s-1","role":"approver".*"action":"GET \/api\/v1\/session\/oidc\/callback","outcome":303/,
    );
    await scratch.stores.tokens.revoke(listed?.id ?? "");
    assert.equal((await ask("/api/v1/session", `airlift_session=${session?.value}`)).statusCode, 401);
  });

  test("another browser's answer, another nonce, another client's token and no attempt at all are refused", async () => {
    assert.equal(codeOf(await signIn((back) => back.set("state", "another"))), "403 OIDC_REFUSED");
    claims = { ...claims, nonce: "another" };
    assert.equal(codeOf(await signIn()), "403 OIDC_REFUSED");
    const { nonce: _, ...rest } = claims;
    claims = { ...rest, aud: "another" };
    assert.equal(codeOf(await signIn()), "403 OIDC_REFUSED");
    assert.equal(codeOf(await ask("/api/v1/session/oidc/callback?code=c&state=s")), "403 OIDC_REFUSED");
    assert.equal(
      codeOf(await ask("/api/v1/session/oidc/callback?code=c&state=s", "airlift_oidc=e30")),
      "403 OIDC_REFUSED",
    );
    assert.equal(codeOf(await signIn((back) => back.set("error", "access_denied"))), "403 OIDC_REFUSED");
  });

  test("a person without a role is told so and gets no session", async () => {
    claims = { preferred_username: "eve", realm_access: { roles: ["admins"] } };
    const answer = await signIn();
    assert.equal(codeOf(answer), "403 OIDC_NO_ROLE");
    assert.equal(cookieOf(answer, "airlift_session"), undefined);
  });

  test("a browser is led to the sign-in, which says why", async () => {
    const accept = "text/html,application/xhtml+xml";
    const url = "/api/v1/session/oidc/callback?code=c&state=s";
    const answer = await api.inject({ url, headers: { host: "fleet.example", accept } });
    assert.deepEqual([answer.statusCode, answer.headers.location], [303, "/?refused=OIDC_REFUSED"]);
    assert.equal(cookieOf(answer, "airlift_session"), undefined);
  });

  test("the server says how one can sign in", async () => {
    assert.deepEqual((await ask("/api/v1/session/methods")).json(), { token: true, oidc: true });
  });
});

test("two people of one name are two, and one who was renamed is one", async () => {
  const idOf = async (more: Record<string, unknown>) => {
    claims = { realm_access: { roles: "airlift-approver" }, preferred_username: "kim", ...more };
    const session = cookieOf(await signIn(), "airlift_session");
    return (await scratch.stores.tokens.sessionHolder(session?.value ?? ""))?.personId;
  };
  const first = await idOf({ sub: "1" });
  assert.equal(first, `account ${issuer} 1`);
  assert.notEqual(await idOf({ sub: "2" }), first);
  assert.equal(await idOf({ sub: "1", preferred_username: "kim the second" }), first);
});

test("roles are read from one text or many; a bare role is another program's", () => {
  assert.equal(roleOf("airlift-viewer"), "viewer");
  assert.equal(roleOf("openid airlift-admin"), "admin");
  assert.equal(roleOf(["airlift-viewer", "airlift-operator", "admin"]), "operator");
  const strangers = [undefined, null, 7, {}, [], "admin", "airlift-gateway", ["Admin", "airlift_admin", { admin: 1 }]];
  for (const claim of [...strangers, "toString", "openid operator"]) assert.equal(roleOf(claim), undefined);
  const roles = new Map([
    ["Fleet Team", "operator"],
    ["admin", "viewer"],
  ] as const);
  assert.equal(roleOf("Fleet Team", roles), "operator");
  assert.equal(roleOf(["admin", "team"], roles), "viewer");
  assert.equal(roleOf("fleet team", roles), undefined);
});
