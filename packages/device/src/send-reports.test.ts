import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { formatPath } from "@airlift/protocol/lwm2m/path";
import { SendReports, type SendReportsOptions } from "./send-reports.ts";

let isOpen: boolean;
let sent: string[];
let answers: ((error?: Error) => void)[];
let failures: unknown[];

beforeEach(() => {
  isOpen = true;
  sent = [];
  answers = [];
  failures = [];
});

function create(tellsStart = false, components: SendReportsOptions["components"] = []): SendReports {
  return new SendReports({
    entriesAt: (path) => [{ path, value: 0 }],
    send: (entries) => {
      sent.push(entries.map(({ path }) => formatPath(path)).join());
      return new Promise((resolve, reject) => answers.push((error) => (error ? reject(error) : resolve())));
    },
    isOpen: () => isOpen,
    onFailure: (error) => failures.push(error),
    tellsStart,
    components,
  });
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("a change of State or Update Result is told, with both of them, the result first", () => {
  const reports = create();
  reports.changed([1, 12, 3]);
  assert.deepEqual(sent, ["/5/0/5,/5/0/3"]);
});

test("other changes are not told", () => {
  const reports = create();
  reports.changed([1, 11, 13]);
  reports.flush();
  assert.deepEqual(sent, []);
});

test("a start after an update tells the versions, too, when the server is there", () => {
  isOpen = false;
  const reports = create(true);
  reports.flush();
  assert.deepEqual(sent, []);
  isOpen = true;
  reports.flush();
  assert.deepEqual(sent, ["/5/0/5,/5/0/3,/3/0/3,/3/0/19"]);
});

test("what changes while a report is under way goes into one more", async () => {
  const reports = create();
  reports.changed([3]);
  reports.changed([5]);
  reports.changed([3]);
  assert.equal(sent.length, 1);
  answers[0]?.();
  await settled();
  assert.equal(sent.length, 2);
  answers[1]?.();
  await settled();
  assert.equal(sent.length, 2);
});

test("a report that was not taken goes with the next occasion, not at once", async () => {
  const reports = create();
  reports.changed([3]);
  answers[0]?.(new Error("gone"));
  await settled();
  assert.deepEqual([sent.length, failures.length], [1, 1]);
  reports.flush();
  assert.equal(sent.length, 2);
});

test("a server that mutes Send is told nothing, until it wants to hear", () => {
  isOpen = false;
  const reports = create();
  reports.changed([3]);
  isOpen = true;
  reports.flush();
  assert.deepEqual(sent, ["/5/0/5,/5/0/3"]);
});

test("object 33629: a component's State or Update Result is told with the other one, after those of object 5", async () => {
  const components = [0, 1].map(
    (instance) =>
      [
        [33_629, instance, 5],
        [33_629, instance, 3],
      ] as const,
  );
  const reports = create(false, components);
  reports.changedAt([
    [33_629, 1, 16],
    [33_629, 1, 12],
  ]);
  assert.deepEqual(sent, []);
  reports.changedAt([[33_629, 1, 3]]);
  reports.changed([5]);
  answers.shift()?.();
  await settled();
  assert.deepEqual(sent, ["/33629/1/5,/33629/1/3", "/5/0/5,/5/0/3"]);
});
