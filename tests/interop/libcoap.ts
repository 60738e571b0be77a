/** The command line programs of libcoap, as peers. */
import { type ChildProcess, spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { existsSync } from "node:fs";

const DIRECTORIES = ["/usr/bin", "/usr/local/bin"];

function findProgram(name: string): string | undefined {
  return DIRECTORIES.map((directory) => `${directory}/${name}`).find((path) => existsSync(path));
}

export const COAP_CLIENT = findProgram("coap-client-notls") ?? findProgram("coap-client");
export const COAP_SERVER = findProgram("coap-server-notls") ?? findProgram("coap-server");
/** The TLS libraries that libcoap's programs come with. */
export const TLS_LIBRARIES = ["openssl", "gnutls"] as const;
export const SECURE_CLIENTS = TLS_LIBRARIES.map((library) => findProgram(`coap-client-${library}`));
export const SECURE_SERVERS = TLS_LIBRARIES.map((library) => findProgram(`coap-server-${library}`));

/** Why a test cannot run here; `false` when it can. Where CI is set nothing is left out: the test fails instead. */
export function skipWithout(program: string | undefined): string | false {
  return program === undefined && process.env["CI"] !== "true" ? "libcoap's programs are not installed" : false;
}

/** Runs `coap-client` to its end; what it wrote to its outputs. */
export function runClient(args: readonly string[], program = COAP_CLIENT): Promise<{ stdout: Buffer; stderr: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(program ?? "coap-client", args, { stdio: ["ignore", "pipe", "pipe"], timeout: 60_000 });
    const stdout: Buffer[] = [];
    let stderr = "";
    child.stdout.on("data", (part: Buffer) => stdout.push(part));
    child.stderr.on("data", (part: Buffer) => {
      stderr += part;
    });
    child.on("error", reject);
    child.on("close", () => resolve({ stdout: Buffer.concat(stdout), stderr }));
  });
}

/** Starts `coap-server` on a free port of the loopback; with TLS that is on the port after it. */
export async function startServer(
  args: readonly string[] = [],
  program = COAP_SERVER,
): Promise<{ port: number; stop(): void }> {
  const port = await freePort();
  const child: ChildProcess = spawn(program ?? "coap-server", ["-A", "127.0.0.1", "-p", String(port), ...args], {
    stdio: "ignore",
  });
  return { port, stop: () => void child.kill() };
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const socket = createSocket("udp4");
    socket.bind(0, "127.0.0.1", () => {
      const { port } = socket.address();
      socket.close(() => resolve(port));
    });
  });
}
