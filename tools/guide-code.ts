/** Takes the code out of the guides: writes its TypeScript down to be compiled and run, and checks its commands. */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";

/** A fenced block of a guide: three backticks, its language, and words that say what is done with it. */
export interface GuideBlock {
  /** Of the guide, and the line of its fence. */
  readonly guide: string;
  readonly line: number;
  readonly language: string;
  /** `run=NAME`: a whole program. */
  readonly name: string | undefined;
  /** `check`: the commands are those of our command line. */
  readonly isChecked: boolean;
  readonly text: string;
}

export const ROOT = join(import.meta.dirname, "..");
const GUIDES = join(ROOT, "docs", "guide");
const TSCONFIG = {
  extends: "../tsconfig.base.json",
  compilerOptions: { lib: ["ES2024"], types: ["node"] },
  include: ["*.ts"],
};

export function guideBlocks(): GuideBlock[] {
  return readdirSync(GUIDES)
    .filter((name) => name.endsWith(".md"))
    .flatMap((name) => blocksOf(name, readFileSync(join(GUIDES, name), "utf8")));
}

/** The blocks of one guide, in their order. */
export function blocksOf(guide: string, markdown: string): GuideBlock[] {
  const blocks: GuideBlock[] = [];
  for (const { index, 1: info = "", 2: text = "" } of markdown.matchAll(/^```(.*)\n([\s\S]*?)^```$/gm)) {
    const [language = "", ...words] = info.trim().split(/\s+/);
    const line = markdown.slice(0, index).split("\n").length;
    const name = words.find((word) => word.startsWith("run="))?.slice(4);
    blocks.push({ guide, line, language, name, isChecked: words.includes("check"), text });
  }
  return blocks;
}

/** Name of the file that a block of TypeScript is written to. */
export function fileOf({ guide, line, name }: GuideBlock): string {
  return `${name ?? `${basename(guide, ".md")}-${line}`}.ts`;
}

/**
 * Writes all TypeScript into `folder`, a new one in the repository, so that its imports are found. To be removed by the caller.
 */
export function writeGuideCode(folder: string): void {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }\n');
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(TSCONFIG));
  for (const block of guideBlocks()) {
    if (block.language === "ts") writeFileSync(join(folder, fileOf(block)), `${block.text}\nexport {};\n`);
  }
}

/** What the compiler says of what `writeGuideCode` wrote; empty when all is well. */
export function compileGuideCode(folder: string): string {
  const { stdout } = spawnSync(process.execPath, [join(ROOT, "node_modules/typescript/bin/tsc"), "-p", folder], {
    encoding: "utf8",
  });
  return stdout;
}

/** Commands and options in a checked block that our command line does not have; empty when all is well. */
export function mistakesOfCommands({ guide, line, text }: GuideBlock): string[] {
  const mistakes: string[] = [];
  for (const command of text.split("\n").filter((each) => each.trim() !== "")) {
    const [npx, airlift, ...words] = command.trim().split(/\s+/);
    if (npx !== "npx" || airlift !== "airlift") mistakes.push(`${guide}:${line}: not one of ours: ${command}`);
    else mistakes.push(...mistakesOf(words).map((mistake) => `${guide}:${line}: ${mistake}`));
  }
  return mistakes;
}

function mistakesOf(words: readonly string[]): string[] {
  const options = words.filter((word) => word.startsWith("--"));
  const path = words.slice(
    0,
    words.findIndex((word) => !/^[a-z-]+$/.test(word) || word.startsWith("--")),
  );
  // As many words as name a command: the others are its arguments.
  for (let count = Math.min(2, path.length); count > 0; count -= 1) {
    const help = helpOf(path.slice(0, count));
    if (help === undefined) continue;
    return options
      .filter((option) => !help.includes(`${option} `) && !help.includes(`${option}\n`))
      .map((option) => `${path.slice(0, count).join(" ")} has no ${option}`);
  }
  return [`no such command: ${words.join(" ")}`];
}

const helps = new Map<string, string | undefined>();

function helpOf(path: readonly string[]): string | undefined {
  const key = path.join(" ");
  if (!helps.has(key)) helps.set(key, askHelpOf(path));
  return helps.get(key);
}

function askHelpOf(path: readonly string[]): string | undefined {
  try {
    const help = execFileSync(process.execPath, [join(ROOT, "packages/cli/src/main.ts"), ...path, "--help"], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
    return help.includes(`Usage: airlift ${path.join(" ")}`) ? help : undefined;
  } catch {
    return undefined;
  }
}
