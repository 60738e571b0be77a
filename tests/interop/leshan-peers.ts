/** Leshan's peers as child processes. AIRLIFT_LESHAN names the directory of the libraries, as leshan/pom.xml brings them. */
import { execFileSync, spawn } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { freePort } from "./dtls-peers.ts";

const LIBRARIES = process.env["AIRLIFT_LESHAN"] ?? "";

/** Why Leshan cannot run here; `false` when it can. In continuous integration nothing is skipped. */
export function skipWithoutLeshan(): string | false {
  if (process.env["CI"] === "true") return false;
  if (LIBRARIES === "" || !existsSync(LIBRARIES)) return "Leshan's libraries (AIRLIFT_LESHAN) are not installed";
  try {
    execFileSync("java", ["-version"], { stdio: "ignore" });
    return false;
  } catch {
    return "Java is not installed";
  }
}

export interface LeshanProgram {
  /** What it says next that begins so. */
  told(beginning: string): Promise<string>;
  /** What it said, and nobody waited for. */
  readonly lines: readonly string[];
  say(line: string): void;
  stop(): Promise<void>;
}

/** Runs a program of `leshan/`; it ends with its standard input. */
export function runLeshan(name: string, parts: readonly string[]): LeshanProgram {
  const program = join(import.meta.dirname, "leshan", `${name}.java`);
  const child = spawn("java", ["-cp", join(LIBRARIES, "*"), program, ...parts], { stdio: ["pipe", "pipe", "pipe"] });
  const lines: string[] = [];
  let complaints = "";
  const waiting: { beginning: string; resolve(line: string): void; reject(error: Error): void }[] = [];
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    complaints += text;
  });
  child.once("exit", () => {
    for (const { beginning, reject } of waiting.splice(0))
      reject(new Error(`${name} ended before "${beginning}": ${complaints}`));
  });
  createInterface({ input: child.stdout }).on("line", (line) => {
    const at = waiting.findIndex(({ beginning }) => line.startsWith(beginning));
    if (at >= 0) waiting.splice(at, 1)[0]?.resolve(line);
    else lines.push(line);
  });
  return {
    lines,
    told: (beginning) => {
      const at = lines.findIndex((line) => line.startsWith(beginning));
      if (at >= 0) return Promise.resolve(lines.splice(at, 1)[0] as string);
      return new Promise((resolve, reject) => waiting.push({ beginning, resolve, reject }));
    },
    say: (line) => void child.stdin.write(`${line}\n`),
    stop: async () => {
      if (child.exitCode !== null) return;
      child.stdin.end();
      await once(child, "exit");
    },
  };
}

/** A PEM block's octets as hex. */
export const hexOfPem = (pem: string): string =>
  Buffer.from(pem.replace(/-----[^-]+-----/g, ""), "base64").toString("hex");

/** The first certificate of a text, as hex. */
export const hexOfCertificate = (pem: string): string => new X509Certificate(pem).raw.toString("hex");

/** A LwM2M server on Leshan. */
export interface LeshanServer {
  readonly port: number;
  /** Over plain CoAP. */
  readonly uri: string;
  told(beginning: string): Promise<string>;
  /** The code of a request, with the value of a Read. */
  ask(request: string): Promise<string>;
  stop(): Promise<void>;
}

/** @param parts What LeshanPeer.java wants to know of DTLS; none = plain CoAP. */
export async function startLeshanServer(...parts: readonly string[]): Promise<LeshanServer> {
  const port = await freePort();
  const { told, say, stop } = runLeshan("LeshanPeer", [String(port), ...parts]);
  await told("ready");
  return {
    port,
    uri: `coap://127.0.0.1:${port}`,
    told,
    ask: async (request) => {
      say(request);
      return (await told("answer ")).slice("answer ".length);
    },
    stop,
  };
}
