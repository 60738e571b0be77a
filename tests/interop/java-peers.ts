/** Java peers: libraries from Maven Central in Maven's own cache, sources under `java/`, compiled when they are needed. */
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

const CALIFORNIUM = "3.14.0";
const REPOSITORY = process.env["AIRLIFT_MAVEN_REPOSITORY"] ?? join(homedir(), ".m2/repository");

/** Group, artifact and version of what the peer runs on. */
const LIBRARIES = [
  ["org.eclipse.californium", "scandium", CALIFORNIUM],
  ["org.eclipse.californium", "californium-core", CALIFORNIUM],
  ["org.eclipse.californium", "element-connector", CALIFORNIUM],
  ["org.slf4j", "slf4j-api", "1.7.36"],
] as const;

const jarOf = ([group, artifact, version]: (typeof LIBRARIES)[number]): string =>
  join(REPOSITORY, group.replaceAll(".", "/"), artifact, version, `${artifact}-${version}.jar`);

function isThere(command: string, parts: readonly string[]): boolean {
  try {
    execFileSync(command, parts, { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/** Why the Java peer cannot run here; `false` when it can. Missing libraries are fetched in continuous integration only. */
export function skipWithoutJava(): string | false {
  const isStrict = process.env["CI"] === "true";
  if (isStrict) return false;
  if (!isThere("javac", ["-version"])) return "javac is not installed";
  const missing = LIBRARIES.find((library) => !existsSync(jarOf(library)));
  return missing ? `${missing[1]} is missing: mvn dependency:get -Dartifact=${missing.join(":")}` : false;
}

/** Compiles a peer into `folder`; the parts of `java …` that run it. */
export function compileJava(name: string, folder: string): string[] {
  for (const library of LIBRARIES) {
    if (!existsSync(jarOf(library)))
      execFileSync("mvn", ["-q", "-B", "dependency:get", `-Dartifact=${library.join(":")}`], { stdio: "inherit" });
  }
  const classPath = LIBRARIES.map(jarOf).join(":");
  const sources = new URL("java/", import.meta.url).pathname;
  const files = readdirSync(sources).filter((file) => file === `${name}.java`);
  execFileSync("javac", ["-cp", classPath, "-d", folder, ...files.map((file) => join(sources, file))]);
  return ["-cp", `${classPath}:${folder}`, name];
}
