import assert from "node:assert/strict";
import { test } from "node:test";
import { settingOfFlag } from "@airlift/server/config";
import { Command } from "commander";
import { registerServe } from "./serve.ts";

test("every flag of serve is a setting, but the file of the settings and what is logged", () => {
  const program = new Command();
  registerServe(program);
  const flags = program.commands[0]?.options.map(({ long }) => long ?? "") ?? [];
  assert.ok(flags.includes("--awake-window"));
  const others = flags.filter((flag) => settingOfFlag(flag) === undefined);
  assert.deepEqual(others, ["--config", "--log-level"]);
});
