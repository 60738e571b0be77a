/** Brings the news of a pull to the update that ordered it. */
import type { PullListener } from "./puller.ts";
import type { UpdateRunner } from "./update-runner.ts";

/** A listener that feeds `runner`; pauses are for whoever watches. */
export function pullListener(runner: Pick<UpdateRunner, "feed">, onPause: PullListener["onPause"]): PullListener {
  return {
    onOrigin: (pull, etag) => runner.feed({ kind: "pullOrigin", pull, etag }),
    onChunk: (pull, offset, bytes) => runner.feed({ kind: "pullChunk", pull, offset, bytes }),
    onEnded: (pull) => runner.feed({ kind: "pullEnded", pull }),
    onChanged: (pull) => runner.feed({ kind: "pullChanged", pull }),
    onFailed: (pull, result) => runner.feed({ kind: "pullFailed", pull, result }),
    onPause,
  };
}
