/** An OpenID Connect provider with a few people and no passwords: discovery, code flow with PKCE, signed ID tokens (OpenID Connect Core §3.1). */
import { createHash, generateKeyPairSync, randomBytes, sign } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface Person {
  /** As the claim `preferred_username` tells it. */
  readonly name: string;
  readonly roles: readonly string[];
}

export interface ProviderClient {
  readonly id: string;
  readonly secret: string;
}

export class SignInProvider {
  readonly #people: readonly Person[];
  readonly #client: ProviderClient;
  readonly #keys = generateKeyPairSync("rsa", { modulusLength: 2048 });
  /** Codes that were given out and not exchanged, each with what was asked for it. */
  readonly #codes = new Map<string, { readonly person: Person; readonly asked: URLSearchParams }>();
  readonly #server: Server;

  constructor(client: ProviderClient, people: readonly Person[]) {
    this.#client = client;
    this.#people = people;
    this.#server = createServer((request, response) => void this.#answer(request, response));
  }

  /** Of another site than 127.0.0.1, as a browser sees it: cookies that are strict about that are put to the test. */
  get issuer(): string {
    return `http://localhost:${(this.#server.address() as AddressInfo).port}`;
  }

  async listen(): Promise<void> {
    this.#server.listen(0, "localhost");
    await once(this.#server, "listening");
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", this.issuer);
    if (url.pathname === "/authorize") return this.#ask(url.searchParams, response);
    if (url.pathname === "/agree") return this.#agree(url.searchParams, response);
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const { status, body } =
      url.pathname === "/token"
        ? this.#exchange(new URLSearchParams(Buffer.concat(chunks).toString()), request.headers.authorization)
        : this.#describe(url.pathname);
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  }

  #describe(path: string) {
    const { issuer } = this;
    if (path === "/keys") {
      const key = { ...this.#keys.publicKey.export({ format: "jwk" }), kid: "1", alg: "RS256", use: "sig" };
      return { status: 200, body: { keys: [key] } };
    }
    if (path !== "/.well-known/openid-configuration") return { status: 404, body: {} };
    const body = {
      issuer,
      authorization_endpoint: `${issuer}/authorize`,
      token_endpoint: `${issuer}/token`,
      jwks_uri: `${issuer}/keys`,
      response_types_supported: ["code"],
      subject_types_supported: ["public"],
      id_token_signing_alg_values_supported: ["RS256"],
      code_challenge_methods_supported: ["S256"],
    };
    return { status: 200, body };
  }

  /** The page on which one says who one is. */
  #ask(asked: URLSearchParams, response: ServerResponse): void {
    const links = this.#people.map(({ name }) => {
      const more = new URLSearchParams(asked);
      more.set("person", name);
      return `<p><a href="/agree?${more}">${name}</a></p>`;
    });
    response
      .writeHead(200, { "content-type": "text/html" })
      .end(`<!doctype html><html lang="en"><title>Who are you?</title><h1>Who are you?</h1>${links.join("")}`);
  }

  #agree(asked: URLSearchParams, response: ServerResponse): void {
    const person = this.#people.find(({ name }) => name === asked.get("person"));
    const isAsked = asked.get("client_id") === this.#client.id && asked.get("response_type") === "code";
    if (person === undefined || !isAsked || asked.get("code_challenge_method") !== "S256") {
      response.writeHead(400).end();
      return;
    }
    const code = randomBytes(16).toString("base64url");
    this.#codes.set(code, { person, asked });
    const back = new URL(asked.get("redirect_uri") ?? "");
    back.search = `${new URLSearchParams({ code, state: asked.get("state") ?? "" })}`;
    response.writeHead(303, { location: back.href }).end();
  }

  /** A code is good once, for the client and the browser that it was given to (RFC 6749 §4.1.3, RFC 7636 §4.6). */
  #exchange(sent: URLSearchParams, authorization: string | undefined) {
    const code = sent.get("code") ?? "";
    const given = this.#codes.get(code);
    this.#codes.delete(code);
    const challenge = createHash("sha256")
      .update(sent.get("code_verifier") ?? "")
      .digest("base64url");
    const isSame =
      this.#isClient(sent, authorization) &&
      challenge === given?.asked.get("code_challenge") &&
      sent.get("redirect_uri") === given.asked.get("redirect_uri");
    if (given === undefined || !isSame) return { status: 400, body: { error: "invalid_grant" } };
    const idToken = this.#idToken(given.person, given.asked.get("nonce"));
    return { status: 200, body: { access_token: "none", token_type: "bearer", expires_in: 60, id_token: idToken } };
  }

  /** RFC 6749 §2.3.1: in the body, or as Basic with both parts encoded. */
  #isClient(sent: URLSearchParams, authorization = ""): boolean {
    const { id, secret } = this.#client;
    if (sent.get("client_id") === id && sent.get("client_secret") === secret) return true;
    const encoded = Buffer.from(authorization.replace(/^Basic /, ""), "base64").toString();
    return encoded === `${encodeURIComponent(id)}:${encodeURIComponent(secret)}`;
  }

  #idToken({ name, roles }: Person, nonce: string | null): string {
    const base64url = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const nowS = Math.floor(Date.now() / 1000);
    const who = { sub: name, preferred_username: name, roles };
    const times = { iat: nowS, exp: nowS + 60 };
    const claims = { iss: this.issuer, aud: this.#client.id, ...times, nonce, ...who };
    const signed = `${base64url({ alg: "RS256", kid: "1" })}.${base64url(claims)}`;
    return `${signed}.${sign("sha256", Buffer.from(signed), this.#keys.privateKey).toString("base64url")}`;
  }
}
