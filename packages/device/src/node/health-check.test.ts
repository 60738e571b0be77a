import assert from "node:assert/strict";
import { test } from "node:test";
import { checkHealth, commandHealthCheck } from "./health-check.ts";

test("healthy is what settles in time", async () => {
  await checkHealth(() => undefined);
  await checkHealth(commandHealthCheck([process.execPath, "-e", ""]));
});

test("not healthy is what rejects, what exits with another code than 0, and what takes too long", async () => {
  const lame = (): never => {
    throw new Error("no sensor");
  };
  await assert.rejects(checkHealth(lame), { code: "UNHEALTHY", message: "the new image is not healthy: no sensor" });
  const failing = commandHealthCheck([process.execPath, "-e", "console.log('no route'); process.exitCode = 7"]);
  await assert.rejects(checkHealth(failing), { code: "UNHEALTHY", message: /ended with 7: no route/ });
  const slow = commandHealthCheck([process.execPath, "-e", "setInterval(() => {}, 1000)"]);
  await assert.rejects(checkHealth(slow, 1), { code: "UNHEALTHY" });
  let wasTold = false;
  const deaf = (signal: AbortSignal): Promise<void> =>
    new Promise(() => signal.addEventListener("abort", () => (wasTold = true)));
  await assert.rejects(checkHealth(deaf, 1), { code: "UNHEALTHY" });
  assert.ok(wasTold, "the check hears that its time is over");
});
