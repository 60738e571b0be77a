/** Orders to send commands that are not carried out yet: what was taken is sent, whatever happens to the power meanwhile. */
import { existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { CommandOrder } from "@airlift/protocol/api/gateway";
import { readJson, replaceFile } from "./durable-file.ts";

export class CommandFiles {
  readonly #folder: string;

  /** Makes the folder when it is missing. The errors are those of node:fs. */
  constructor(folder: string) {
    this.#folder = folder;
    mkdirSync(folder, { recursive: true });
  }

  /** Those that can be read; a file of another form is passed over. */
  load(): CommandOrder[] {
    return readdirSync(this.#folder).flatMap((name) => {
      const parsed = name.endsWith(".json") ? CommandOrder.safeParse(readJson(join(this.#folder, name))) : undefined;
      return parsed?.success ? [parsed.data] : [];
    });
  }

  has(commandId: string): boolean {
    return existsSync(this.#path(commandId));
  }

  /** Durable when it returns. */
  save(order: CommandOrder): void {
    replaceFile(this.#path(order.commandId), JSON.stringify(order));
  }

  remove(commandId: string): void {
    rmSync(this.#path(commandId), { force: true });
  }

  #path(commandId: string): string {
    return join(this.#folder, `${encodeURIComponent(commandId).replaceAll(".", "%2E")}.json`);
  }
}
