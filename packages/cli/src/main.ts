/** `airlift`: the command line. Each command is a file in commands/ that registers itself, named in the command table. */
import { readFileSync } from "node:fs";
import { Command } from "commander";
import { addChosenCommands } from "./command-table.ts";
import { fail } from "./failure.ts";
import { keepCompiled } from "./fresh-start.ts";
import { addGlobalOptions } from "./terminal.ts";

/** Commander stops at the first option that is missing; who runs a command wants to hear of all of them. */
class AirliftCommand extends Command {
  override createCommand(name?: string): Command {
    return new AirliftCommand(name);
  }

  /** Called by Commander with the first one. */
  missingMandatoryOptionValue(): never {
    const missing = this.options.filter(
      (one) => one.mandatory && this.getOptionValue(one.attributeName()) === undefined,
    );
    this.error(missing.map(({ flags }) => `error: required option '${flags}' not specified`).join("\n"));
  }
}

function createProgram(): Command {
  const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as {
    version: string;
  };
  // Before the commands: they take over how mistakes are told.
  const program = new AirliftCommand("airlift")
    .description("firmware over the air")
    .version(version, "-V", "print the version of this program; so does --version by itself")
    .exitOverride()
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      outputError: (text, write) => {
        const mistakes = text.split(/^error: /m).filter((mistake) => mistake !== "");
        for (const mistake of mistakes) write(`airlift: ${mistake.trim().replaceAll("\n", " ")}\n`);
      },
    });
  addGlobalOptions(program);
  return program;
}

// A reader that has seen enough, such as head, is not a failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit(0);
});

/** Behind a command `--version` is an image's or a device's; in front of all of them it can only be this program's. */
const [, , first, ...rest] = process.argv;
const isVersionAsked = first === "--version";

try {
  const words = isVersionAsked ? ["-V", ...rest] : process.argv.slice(2);
  const program = createProgram();
  await addChosenCommands(program, program.parseOptions(words).operands);
  keepCompiled();
  await program.parseAsync(words, { from: "user" });
} catch (error) {
  fail(error);
}
