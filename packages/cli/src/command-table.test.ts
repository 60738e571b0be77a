/** The table says what the files add. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Command } from "commander";
import { addChosenCommands, COMMAND_FILES, COMMAND_GROUPS } from "./command-table.ts";

const namesOf = (parent: Command): string[] => parent.commands.map((one) => one.name());

async function chosenBy(...words: string[]): Promise<Command> {
  const program = new Command("airlift");
  await addChosenCommands(program, words);
  return program;
}

test("each file adds the names that the table has for it", async () => {
  for (const { names, load } of [...COMMAND_GROUPS.flatMap(({ files }) => files), ...COMMAND_FILES]) {
    const parent = new Command();
    (await load())(parent);
    assert.deepEqual(namesOf(parent), names);
  }
});

test("a command that is named is the only one, with all that is below it", async () => {
  assert.deepEqual(namesOf(await chosenBy("devices")), ["devices"]);
  assert.deepEqual(namesOf(await chosenBy("help", "devices")), ["devices"]);
  const [gateway] = (await chosenBy("gateway", "list")).commands;
  assert.deepEqual(gateway && namesOf(gateway), ["list", "add", "remove", "airtime"]);
});

test("of a group too", async () => {
  for (const words of [
    ["mesh", "plan", "file"],
    ["mesh", "help", "plan"],
  ]) {
    const program = await chosenBy(...words);
    assert.deepEqual(namesOf(program), ["mesh"]);
    assert.deepEqual(program.commands.map(namesOf), [["plan"]]);
  }
});

test("words that name none of a level have all of it, for its help and for what was meant", async () => {
  const all = [...new Set([...COMMAND_GROUPS.map(({ name }) => name), ...COMMAND_FILES.flatMap(({ names }) => names)])];
  for (const words of [[], ["servee"], ["help"]]) assert.deepEqual(namesOf(await chosenBy(...words)), all);
  const [image] = (await chosenBy("image", "ad")).commands;
  assert.deepEqual(image && namesOf(image), ["add", "list", "show", "delta", "keygen"]);
});
