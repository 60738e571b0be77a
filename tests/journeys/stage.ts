/** What a journey takes place on: a real server, real device processes, and a real browser. */
import { randomBytes } from "node:crypto";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client, postOf } from "@airlift/cli/client";
import { Programs } from "@airlift/cli/demo/programs";
import { uploadImage } from "@airlift/cli/upload";
import { CreatedToken, type Role } from "@airlift/protocol/api/credentials";
import type { Image } from "@airlift/protocol/api/schemas";
import { makeMcubootImage } from "@airlift/protocol/image/make-mcuboot";
import { parseMcubootVersion } from "@airlift/protocol/image/version";
import { imageCrypto } from "@airlift/runtime/crypto";
import { type Browser, chromium, type Page } from "playwright-core";

/** Where Debian and others put a Chromium; AIRLIFT_CHROMIUM names another. */
const BROWSERS = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** Screenshots for the guide are written when AIRLIFT_SCREENSHOTS names a folder. */
const SCREENSHOTS = process.env["AIRLIFT_SCREENSHOTS"];

/** How long a page may take to show something: broadcasts begin some time after they were ordered, and machines are busy. */
const PATIENCE_MS = 300_000;

export interface ViewOptions {
  readonly width?: number;
  readonly height?: number;
  readonly scheme?: "light" | "dark";
}

export class Stage {
  readonly folder = mkdtempSync(join(tmpdir(), "journey-"));
  readonly programs = new Programs(this.folder);
  /** What the pages of this stage complained about: errors thrown, errors logged, policy breaches. */
  readonly complaints: string[] = [];
  readonly url: string;
  readonly coapPort: number;
  readonly #serve: readonly string[];
  #browser: Browser | undefined;
  #server: ReturnType<Programs["start"]> | undefined;
  #client: Client | undefined;

  private constructor(httpPort: number, coapPort: number, serve: readonly string[]) {
    this.url = `http://127.0.0.1:${httpPort}`;
    this.coapPort = coapPort;
    this.#serve = [
      "--data",
      join(this.folder, "data"),
      "--http-port",
      `${httpPort}`,
      "--coap-port",
      `${coapPort}`,
      // That a UDP port is free says nothing of the TCP port of that number.
      ...["--coap-tcp-port", "0", "--coaps-tcp-port", "0"],
      ...serve,
    ];
  }

  /** @param serve More flags of `airlift serve`; without a word about tokens it is `--no-auth`. */
  static async open(serve: readonly string[] = ["--no-auth"]): Promise<Stage> {
    const stage = new Stage(await freeTcpPort(), await freeUdpPort(), serve);
    await stage.startServer();
    return stage;
  }

  /** Of an administrator. */
  get client(): Client {
    this.#client ??= new Client({ url: this.url, token: this.adminToken });
    return this.#client;
  }

  /** Undefined = nobody is asked for a token. */
  get adminToken(): string | undefined {
    if (this.#serve.includes("--no-auth")) return undefined;
    return readFileSync(join(this.folder, "data", "first-admin-token"), "utf8").trim();
  }

  async createToken(role: Role, name: string): Promise<string> {
    return (await this.client.call("tokens", CreatedToken, postOf({ role, name }))).token;
  }

  async startServer(): Promise<void> {
    const server = this.programs.start("server", ["serve", ...this.#serve]);
    this.#server = server;
    await this.programs.untilReady(server, "server", async () => {
      const answer = await fetch(`${this.url}/readyz`).catch(() => undefined);
      return answer?.ok === true;
    });
  }

  /** As a power cut does; `startServer` brings it back. */
  async killServer(): Promise<void> {
    if (this.#server) await this.programs.cutPower(this.#server);
  }

  /** A fleet of simulated devices in a process of its own, reachable over real UDP. */
  startFleet(count: number, ...more: readonly string[]): void {
    const args = ["fleet", "--count", `${count}`, "--server", `coap://127.0.0.1:${this.coapPort}`, ...more];
    this.programs.start(`fleet-${randomBytes(3).toString("hex")}`, args);
  }

  /** Waits until as many devices are registered and have told their version. */
  async untilRegistered(count: number): Promise<void> {
    await until(`${count} devices are registered`, async () => {
      const devices = await this.client.devices();
      return devices.filter(({ version }) => version !== null).length >= count;
    });
  }

  async addImage(version: string, sizeBytes = 100_000, model = "virtual"): Promise<Image> {
    const name = { manufacturer: "Airlift", model, version, hardware: [] };
    return await uploadImage(this.client, new Blob([randomBytes(sizeBytes)]), { name });
  }

  /** Firmware that says its version both to a bootloader and to who reads its first octets. */
  firmware(version: string, sizeBytes = 40_000): Uint8Array {
    const payload = Buffer.concat([Buffer.from(`version=${version}\n`), randomBytes(sizeBytes)]);
    return makeMcubootImage(payload, { version: parseMcubootVersion(version) }, { crypto: imageCrypto });
  }

  async addFirmware(version: string, sizeBytes?: number): Promise<Image> {
    const name = { manufacturer: "Airlift", model: "virtual", version, hardware: [] };
    return await uploadImage(this.client, new Blob([new Uint8Array(this.firmware(version, sizeBytes))]), { name });
  }

  /** A file to upload by hand. */
  file(name: string, content: Uint8Array): string {
    const path = join(this.folder, name);
    writeFileSync(path, content);
    return path;
  }

  /** A page in a browser of somebody else: pages share no session and nothing that they keep. */
  async view(path: string, { width = 1280, height = 900, scheme = "light" }: ViewOptions = {}): Promise<Page> {
    this.#browser ??= await chromium.launch({ executablePath: browserPath(), args: ["--no-sandbox"] });
    const page = await this.#browser.newPage({ viewport: { width, height }, colorScheme: scheme, baseURL: this.url });
    page.setDefaultTimeout(PATIENCE_MS);
    page.on("pageerror", (error) => this.complaints.push(`thrown: ${error.message}`));
    page.on("console", (message) => {
      if (message.type() === "error") this.complaints.push(`logged: ${message.text()} ${message.location().url}`);
    });
    await page.goto(path);
    return page;
  }

  /** The same for somebody who shows a token first. */
  async viewAs(token: string, path: string, options?: ViewOptions): Promise<Page> {
    const page = await this.view(path, options);
    await page.getByRole("textbox", { name: "Token" }).fill(token);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("navigation", { name: "Pages" }).waitFor();
    return page;
  }

  /** A picture for the guide, when pictures are wanted. */
  async picture(page: Page, name: string): Promise<void> {
    if (SCREENSHOTS === undefined) return;
    mkdirSync(SCREENSHOTS, { recursive: true });
    // Whatever stands in for what is on its way.
    while ((await page.locator(".mantine-Skeleton-root").count()) > 0) await page.waitForTimeout(100);
    // Whatever moves is shown where it comes to rest.
    await page.screenshot({ path: join(SCREENSHOTS, `${name}.png`), animations: "disabled" });
  }

  async close(): Promise<void> {
    await this.#browser?.close();
    await this.programs.stopAll();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** @throws {Error} when it has not come true after so many minutes: these are real processes. */
export async function until(what: string, isTrue: () => Promise<boolean>, minutes = 5): Promise<void> {
  const giveUpAtMs = performance.now() + minutes * 60_000;
  while (!(await isTrue().catch(() => false))) {
    if (performance.now() > giveUpAtMs) throw new Error(`waited ${minutes} min in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

function browserPath(): string {
  const path = process.env["AIRLIFT_CHROMIUM"] ?? BROWSERS.find((candidate) => existsSync(candidate));
  if (path === undefined)
    throw new Error("no Chromium here: install one (Debian: apt-get install chromium), or name it in AIRLIFT_CHROMIUM");
  return path;
}

async function freeTcpPort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

/** One whose neighbour is free as well: there the server has its door for DTLS. */
async function freeUdpPort(): Promise<number> {
  for (;;) {
    const first = await boundSocket(0);
    const second = await boundSocket((first?.address().port ?? 0) + 1);
    const port = second === undefined ? undefined : first?.address().port;
    for (const socket of [first, second]) socket?.close();
    if (port !== undefined) return port;
  }
}

/** Undefined = somebody has the port. */
async function boundSocket(port: number): Promise<Socket | undefined> {
  const socket = createSocket("udp4").bind(port, "0.0.0.0");
  return await once(socket, "listening").then(
    () => socket,
    () => undefined,
  );
}
