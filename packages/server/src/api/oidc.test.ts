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
const newKeys = () => generateKeyPairSync("rsa", { modulusLength: 2048 });
let keys = newKeys();
let scratch: ScratchStores;
let api: FastifyInstance;
let provider: Server;
let issuer: string;
let admin: string;
/** What the provider says of whoever signs in, and what it was told by the browser. */
let claims: Record<string, unknown>;
let asked: URLSearchParams;
/** What its UserInfo endpoint tells; undefined = it has none. */
let userInfo: Record<string, unknown> | undefined;
/** How its token endpoint answers when it does not do as it is asked. */
let refusal: { status: number; body: object } | undefined;
let clockAheadS: number;
let keyId = 1;
/** Lines of the server's log. */
const logged: Record<string, unknown>[] = [];
const base64url = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");

/** A provider with one person, who always agrees. */
function startProvider(): Server {
  return createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      if (request.url === "/token" && refusal !== undefined) {
        const headers = { "content-type": "application/json" };
        response.writeHead(refusal.status, headers).end(JSON.stringify(refusal.body));
        return;
      }
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify(answerOf(request.url ?? "", Buffer.concat(chunks).toString())));
    });
  });
}

function answerOf(path: string, body: string): object {
  if (path.endsWith("/.well-known/openid-configuration"))
    return {
      issuer,
      authorization_endpoint: `${issuer}/authorize`,
      token_endpoint: `${issuer}/token`,
      jwks_uri: `${issuer}/keys`,
      ...(userInfo !== undefined && { userinfo_endpoint: `${issuer}/userinfo` }),
      response_types_supported: ["code"],
      subject_types_supported: ["public"],
      id_token_signing_alg_values_supported: ["RS256"],
    };
  if (path === "/userinfo") return userInfo ?? {};
  if (path === "/keys")
    return { keys: [{ ...keys.publicKey.export({ format: "jwk" }), kid: `${keyId}`, alg: "RS256", use: "sig" }] };
  const sent = new URLSearchParams(body);
  const challenge = createHash("sha256")
    .update(`${sent.get("code_verifier")}`)
    .digest("base64url");
  assert.equal(challenge, asked.get("code_challenge"), "the verifier is that of the browser that began");
  assert.equal(sent.get("redirect_uri"), asked.get("redirect_uri"));
  const nowS = Math.floor(Date.now() / 1000) + clockAheadS;
  const whole = {
    iss: issuer,
    aud: CLIENT.clientId,
    sub: "s-1",
    iat: nowS,
    exp: nowS + 60,
    nonce: asked.get("nonce"),
    ...claims,
  };
  const signed = `${base64url({ alg: "RS256", kid: `${keyId}` })}.${base64url(whole)}`;
  const idToken = `${signed}.${sign("sha256", Buffer.from(signed), keys.privateKey).toString("base64url")}`;
  return { access_token: "a", token_type: "bearer", expires_in: 60, id_token: idToken };
}

/** @param at The issuer that its settings name. */
const openApi = (at = issuer) =>
  createApi({
    config: { httpHost: "127.0.0.1", publicHost: null, maxImageBytes: 1, noAuth: false },
    stores: scratch.stores,
    commands: {} as ApiParts["commands"],
    fleet: {} as ApiParts["fleet"],
    oidc: {
      issuer: at,
      ...CLIENT,
      roleClaim: "realm_access.roles",
      nameClaim: "preferred_username",
      roles: new Map([["fleet team", "approver"]]),
    },
    log: pino({ level: "info" }, { write: (line) => void logged.push(JSON.parse(line)) }),
  });

before(async () => {
  scratch = await openScratchStores();
  admin = (await scratch.stores.tokens.create({ name: "root", role: "admin" })).token;
  provider = startProvider().listen(0, "127.0.0.1");
  await once(provider, "listening");
  issuer = `http://127.0.0.1:${(provider.address() as AddressInfo).port}`;
  api = await openApi();
});
beforeEach(() => {
  userInfo = undefined;
  refusal = undefined;
  clockAheadS = 0;
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

/** The newest line of the log about a sign-in, as text. */
const lastReason = () => {
  const { level, code, reason } = logged.findLast((line) => "reason" in line) ?? {};
  return `${level} ${code}: ${reason}`;
};

describe("a sign-in that comes to nothing says whose turn it is, and the log says why", () => {
  test("a wrong secret, with and without the header that RFC 6749 §5.2 asks for, is for whoever set the server up", async () => {
    refusal = { status: 401, body: { error: "invalid_client", error_description: "bad\u0007 secret" } };
    assert.equal(codeOf(await signIn()), "503 OIDC_SETUP");
    assert.match(lastReason(), /^40 OIDC_SETUP: .*invalid_client, bad {2}secret: HTTP status 401$/);
    refusal = { status: 400, body: { error: "unauthorized_client" } };
    assert.equal(codeOf(await signIn()), "503 OIDC_SETUP");
    refusal = { status: 400, body: { error: "invalid_grant" } };
    assert.equal(codeOf(await signIn()), "403 OIDC_REFUSED");
    assert.match(lastReason(), /^30 OIDC_REFUSED: .*invalid_grant/);
  });

  test("clocks that do not agree are told as such; what was asked of the provider stays out of the answer", async () => {
    clockAheadS = -3600;
    const answer = await signIn();
    assert.equal(codeOf(answer), "503 OIDC_SETUP");
    assert.doesNotMatch(answer.body, /exp|clock/);
    assert.match(lastReason(), /^40 OIDC_SETUP: the clocks of this server and of the provider do not agree/);
  });

  test("a provider that stumbles is away, and is asked anew what it is", async () => {
    refusal = { status: 502, body: {} };
    assert.equal(codeOf(await signIn()), "503 OIDC_AWAY");
    assert.match(lastReason(), /^40 OIDC_AWAY: .*HTTP status 502/);
    refusal = undefined;
    assert.equal((await signIn()).statusCode, 303);
  });

  test("a token for another client names the claim that is wrong", async () => {
    claims = { ...claims, aud: "another" };
    assert.equal(codeOf(await signIn()), "403 OIDC_REFUSED");
    assert.match(lastReason(), /^30 OIDC_REFUSED: .*"aud" \(audience\)/);
  });

  /** What a server says at its start and to the first browser. */
  const startOf = async (own: FastifyInstance, from: number) => {
    await own.ready();
    const answer = await own.inject({ url: "/api/v1/session/oidc", headers: { host: "fleet.example" } });
    const told = logged.slice(from).find(({ msg }) => `${msg}`.startsWith("nobody can sign in"));
    return [codeOf(answer), told?.["level"], told?.["code"]];
  };

  test("a server tells at its start that the settings name another provider", async () => {
    const from = logged.length;
    const own = await openApi(`${issuer}/realm`);
    assert.deepEqual(await startOf(own, from), ["503 OIDC_SETUP", 40, "OIDC_SETUP"]);
    await own.close();
  });

  test("a provider that was away when the server started is taken when it is there", async () => {
    provider.closeAllConnections();
    provider.close();
    await once(provider, "close");
    const from = logged.length;
    const own = await openApi();
    const shared = api;
    try {
      assert.deepEqual(await startOf(own, from), ["503 OIDC_AWAY", 40, "OIDC_AWAY"]);
      assert.match(lastReason(), /^40 OIDC_AWAY: fetch failed: ./);
    } finally {
      provider.listen(Number(new URL(issuer).port), "127.0.0.1");
      await once(provider, "listening");
    }
    try {
      api = own;
      assert.equal((await signIn()).statusCode, 303);
    } finally {
      api = shared;
      await own.close();
    }
  });
});

test("a provider that signs with new keys goes on", async () => {
  assert.equal((await signIn()).statusCode, 303);
  keys = newKeys();
  keyId += 1;
  assert.equal((await signIn()).statusCode, 303);
});

test("OpenID Connect Core §5.4: what the ID token does not have is asked for at the UserInfo endpoint, of the same subject", async () => {
  userInfo = { sub: "s-1", preferred_username: "ann", realm_access: { roles: ["airlift-operator"] } };
  claims = {};
  const own = await openApi();
  const shared = api;
  api = own;
  try {
    const session = cookieOf(await signIn(), "airlift_session");
    const holder = await scratch.stores.tokens.sessionHolder(session?.value ?? "");
    assert.deepEqual([holder?.name, holder?.role], ["ann", "operator"]);
    userInfo = { ...userInfo, sub: "s-2" };
    assert.notEqual((await signIn()).statusCode, 303);
    claims = { preferred_username: "ann", realm_access: { roles: [] } };
    assert.equal(codeOf(await signIn()), "403 OIDC_NO_ROLE", "what the ID token says goes before");
  } finally {
    api = shared;
    await own.close();
  }
});

test("a role that was taken away ends with the next sign-in in every browser; the same role leaves them as they are", async () => {
  const roleIn = async (session: string | undefined) =>
    (await scratch.stores.tokens.sessionHolder(session ?? ""))?.role;
  const enter = async (...roles: string[]) => {
    claims = { sub: "lea", realm_access: { roles } };
    return cookieOf(await signIn(), "airlift_session")?.value;
  };
  const first = await enter("airlift-admin");
  const second = await enter("airlift-admin");
  claims = { sub: "max", realm_access: { roles: ["airlift-admin"] } };
  const another = cookieOf(await signIn(), "airlift_session")?.value;
  assert.deepEqual([await roleIn(first), await roleIn(second)], ["admin", "admin"]);
  const third = await enter("airlift-viewer");
  assert.deepEqual([await roleIn(first), await roleIn(second), await roleIn(third)], [undefined, undefined, "viewer"]);
  assert.equal(await enter("staff"), undefined);
  assert.deepEqual([await roleIn(third), await roleIn(another)], [undefined, "admin"]);
});

test("who signs out leaves no token behind", async () => {
  const session = cookieOf(await signIn(), "airlift_session");
  const cookie = `airlift_session=${session?.value}`;
  const headers = { host: "fleet.example", origin: "http://fleet.example", cookie };
  const answer = await api.inject({ method: "DELETE", url: "/api/v1/session", headers });
  assert.equal(answer.statusCode, 204);
  assert.equal((await ask("/api/v1/session", cookie)).statusCode, 401);
  const [newest] = (await scratch.stores.tokens.list({ limit: 1 })).items;
  assert.notEqual(newest?.revokedAt, null);
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
