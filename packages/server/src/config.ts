/** What `airlift serve` is told: flags before environment before file, read once, every mistake named in one error. */
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { UsageError } from "@airlift/protocol/lib/errors";
import { ACCESS_SETTINGS, type AccessConfig, oidcProblems } from "./config/access.ts";
import { DOOR_SETTINGS, type DoorConfig, doorPorts, doorProblems } from "./config/doors.ts";
import type { Setting, Settings } from "./config/setting.ts";
import { STORAGE_SETTINGS, type StorageConfig } from "./config/storage.ts";

export interface ServeConfig extends DoorConfig, AccessConfig, StorageConfig {}

/** Where settings come from. `flags` has the names of the keys below, undefined = not given. */
export interface ConfigSources {
  readonly flags: Readonly<Record<string, unknown>>;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

const SETTINGS: Settings<ServeConfig> = { ...STORAGE_SETTINGS, ...DOOR_SETTINGS, ...ACCESS_SETTINGS };

const SETTING_OF_FLAG: ReadonlyMap<string, string> = new Map(
  Object.entries(SETTINGS).map(([key, { flag }]) => [flag, key]),
);

/** The setting that a flag of the command line gives, `--coap-port`; `undefined` for one that is no setting. */
export const settingOfFlag = (flag: string): string | undefined => SETTING_OF_FLAG.get(flag);

/**
 * The settings of one run, frozen.
 *
 * @throws {UsageError} CONFIG with every mistake in `facts.problems`.
 */
export function loadConfig(sources: ConfigSources): ServeConfig {
  const problems: string[] = [];
  const file = readConfigFile(sources, problems);
  const settings: Record<string, unknown> = {};
  for (const [key, setting] of Object.entries(SETTINGS)) {
    const found = findValue(key, setting, sources, file);
    if (found === undefined) {
      settings[key] = setting.fallback;
      continue;
    }
    const parsed = setting.parse(found.value);
    if ("problem" in parsed) problems.push(`${found.source}: ${parsed.problem}`);
    else settings[key] = parsed.value;
  }
  problems.push(...doorProblems(settings as Partial<ServeConfig>), ...oidcProblems(settings as Partial<ServeConfig>));
  if (problems.length > 0) throw new UsageError("CONFIG", problems.join("\n"), { problems });
  const config = settings as unknown as ServeConfig;
  return Object.freeze({
    ...config,
    ...doorPorts(config),
    hosts: Object.freeze(config.hosts),
    tlsCertFile: config.tlsCertFile && resolve(config.tlsCertFile),
    tlsKeyFile: config.tlsKeyFile && resolve(config.tlsKeyFile),
    dataDir: resolve(config.dataDir),
    imageDir: resolve(config.imageDir ?? join(config.dataDir, "images")),
    modelsDir: config.modelsDir === null ? null : resolve(config.modelsDir),
    masterKeyFile: config.masterKeyFile && resolve(config.masterKeyFile),
    oidcClientSecretFile: config.oidcClientSecretFile && resolve(config.oidcClientSecretFile),
    trustedProxies: Object.freeze([...config.trustedProxies]),
    trustedKeyFiles: Object.freeze(config.trustedKeyFiles.map((name) => resolve(name))),
  });
}

interface Found {
  readonly value: unknown;
  readonly source: string;
}

function findValue(
  key: string,
  setting: Setting,
  sources: ConfigSources,
  file: Record<string, unknown>,
): Found | undefined {
  const flag = sources.flags[key];
  if (flag !== undefined) return { value: flag, source: setting.flag };
  for (const name of setting.environment) {
    const value = sources.environment[name];
    if (value !== undefined && value !== "") return { value, source: name };
  }
  return file[key] === undefined ? undefined : { value: file[key], source: `configuration file, "${key}"` };
}

function readConfigFile(sources: ConfigSources, problems: string[]): Record<string, unknown> {
  const name = sources.flags["config"] ?? sources.environment["AIRLIFT_CONFIG"];
  if (typeof name !== "string") return {};
  try {
    const content: unknown = JSON.parse(readFileSync(name, "utf8"));
    if (typeof content !== "object" || content === null || Array.isArray(content))
      throw new Error("it must be a JSON object");
    for (const key of Object.keys(content))
      if (!(key in SETTINGS)) problems.push(`configuration file ${name}: unknown setting "${key}"`);
    return content as Record<string, unknown>;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    problems.push(`configuration file ${name}: ${code === "ENOENT" ? "there is no such file" : message}`);
    return {};
  }
}
