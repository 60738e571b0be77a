/** A real PostgreSQL that lives as long as a test or a benchmark, in a folder of its own that is deleted with it. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startEmbedded } from "./embedded.ts";

export interface ScratchDatabase {
  readonly url: string;
  /** For files that belong to the same test; deleted by `stop`. */
  readonly folder: string;
  /** Takes PostgreSQL away until `resume`, as an outage does; as a crash, it loses what is not on the disk. */
  pause(how?: "orderly" | "crash"): Promise<void>;
  resume(): Promise<void>;
  stop(): Promise<void>;
}

/** Nothing of it need outlive a power cut. */
const FORGETFUL = ["fsync=off", "synchronous_commit=off", "full_page_writes=off"];

/** @param settings In place of the forgetful ones: `[]` measures what a real server pays. */
export async function startScratchDatabase(settings: readonly string[] = FORGETFUL): Promise<ScratchDatabase> {
  const folder = mkdtempSync(join(tmpdir(), "airlift-"));
  const start = () => startEmbedded(join(folder, "postgres"), { settings });
  let postgres = await start();
  return {
    url: postgres.url,
    folder,
    pause: (how) => postgres.stop(how),
    resume: async () => {
      postgres = await start();
    },
    stop: async () => {
      await postgres.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
