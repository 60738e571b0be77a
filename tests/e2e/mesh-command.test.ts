/** `airlift mesh` as a process: what is packed can be unpacked, from whatever part of it arrived. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";

const CLI = fileURLToPath(import.meta.resolve("@airlift/cli/main"));
const folder = mkdtempSync(join(tmpdir(), "mesh-"));
after(() => rmSync(folder, { recursive: true }));

const path = (name: string): string => join(folder, name);
const image = Uint8Array.from({ length: 3000 }, (_, i) => i * 11);
writeFileSync(path("image"), image);
const identity = ["--manufacturer", "ACME", "--model", "TH-100", "--version", "1.2.3"];
const KEYS = ["--key", "101112131415161718191a1b1c1d1e1f", "--iv", "000102030405060708"];

function airlift(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [CLI, "mesh", ...args], { encoding: "utf8" });
}

function unpack(lines: readonly string[], ...args: string[]): ReturnType<typeof airlift> {
  writeFileSync(path("lines.jsonl"), lines.join("\n"));
  rmSync(path("out"), { force: true });
  return airlift("--json", "unpack", path("lines.jsonl"), "--out", path("out"), ...args);
}

const pack = (...args: string[]): string[] => {
  const { status, stdout, stderr } = airlift("pack", path("image"), ...identity, ...args);
  assert.equal(status, 0, stderr);
  return stdout.trim().split("\n");
};

test("name: the URI and the six octets on air", () => {
  const { stdout } = airlift("--json", "name", "ACME", "TH-100", "1.2.3");
  assert.deepEqual(JSON.parse(stdout), { uri: "zdm/sw/ACME-TH%2D100-1.2.3", name: "fefa89093e11" });
  assert.equal(airlift("name", "ACME", "", "1").status, 2);
});

test("pack, then unpack in reverse order with packets lost: parity stands in for them", () => {
  for (const enc of ["none", "ctr", "ccm"]) {
    const lines = pack("--enc", enc, "--repair", "20");
    const arrived = lines.filter((line) => !/"begin"|"seq":(3|7|8|21),/.test(line)).reverse();
    const { status, stdout, stderr } = unpack(["not a message", ...arrived]);
    assert.equal(status, 0, stderr);
    assert.deepEqual(new Uint8Array(readFileSync(path("out"))), image);
    assert.equal(JSON.parse(stdout).repaired, 4);
    assert.match(stderr, /refused 1: LINE_FORMAT/);
  }
});

test("without the schedule, the key comes from the command line; a wrong one gives no image", () => {
  const ctr = pack(...KEYS).slice(1);
  assert.equal(unpack(ctr, ...KEYS).status, 0);
  assert.equal(unpack(ctr).status, 2);
  assert.equal(unpack(ctr, ...KEYS.slice(0, 2)).status, 2);
  const wrong = unpack(ctr, "--key", "00".repeat(16), "--iv", "00".repeat(9));
  assert.deepEqual([wrong.status, wrong.stdout], [1, ""]);
  const ccm = pack(...KEYS, "--enc", "ccm").slice(1);
  assert.equal(unpack(ccm, ...KEYS).status, 2);
  assert.equal(unpack(ccm, ...KEYS, "--name", "fefa89093e11").status, 0);
});

test("too little, an MTU that cannot be, and a key of another length are refused", () => {
  const { status, stderr } = unpack(pack("--repair", "2").filter((line) => !/"seq":[1-5],/.test(line)));
  assert.equal(status, 1);
  assert.match(stderr, /CONTENT_INCOMPLETE/);
  assert.equal(airlift("pack", path("image"), ...identity, "--mtu", "39").status, 2);
  assert.equal(airlift("pack", path("image"), ...identity, "--key", "00", "--iv", "00").status, 2);
  assert.equal(airlift("pack", path("nothing"), ...identity).status, 2);
  assert.match(airlift("pack", path("image"), ...identity, "--mtu", "47", "--enc", "ccm").stderr, /48 … 1024 with CCM/);
});

test("a file without one message is said to be that, not to lack a key; a folder is no file", () => {
  const { status, stderr } = unpack(["not a message", '[{"kind":"begin"}]']);
  assert.equal(status, 1);
  assert.match(stderr, /refused 2: LINE_FORMAT\nairlift: .*: there is no message in this file \(NO_MESSAGES\)\n$/);
  const cost = ["--devices", "10", "--loss", "0.05"];
  for (const args of [
    ["pack", folder, ...identity],
    ["plan", folder, ...cost],
    ["unpack", folder, "--out", path("out")],
  ]) {
    const refused = airlift(...args);
    assert.deepEqual([refused.status, refused.stderr], [2, `airlift: ${folder}: this is not a file\n`]);
  }
});

test("gateway: a modem does not send in the sub-band of links that are no radio, and the refusal says which links are", () => {
  const link = ["--link", "kiss:/dev/ttyUSB0", "--band", "wired"];
  const args = ["gateway", "--server", "http://127.0.0.1:9", "--id", "g1", "--network-key", "4e".repeat(16), ...link];
  const { status, stderr } = spawnSync(process.execPath, [CLI, ...args], { encoding: "utf8", cwd: folder });
  assert.equal(status, 2);
  assert.match(stderr, /--band wired: for links that are no radio, udp:\/\/ alone; a modem sends in a sub-band/);
});

test("what no gateway, label, device or plan can have is refused with a line, before anything runs", () => {
  const label = airlift("label", "dev-1").stdout.trim();
  writeFileSync(path("twice"), `${label}\n${label}\n`);
  const radio = ["--link", "udp://239.1.2.3:5700", "--network-key", "4e".repeat(16)];
  const device = ["device", "--slots", path("slots"), ...radio, "--allow-unsigned"];
  const own = ["--key", "00".repeat(16), "--iv", "00".repeat(9)];
  const plan = ["plan", path("image"), "--devices", "10", "--loss", "0.05"];
  writeFileSync(path("label"), label);
  const wrong: readonly (readonly [reason: RegExp, ...args: string[]])[] = [
    [/a device id has 1 … 64/, "label", "a b"],
    [/a device id has 1 … 64/, "label", "x".repeat(64), "--count", "2"],
    [/from 1 to 100000/, "label", "x", "--count", "100001"],
    [/--version 1\.0\.300: .* three numbers/, ...device, "--label", path("label"), "--version", "1.0.300"],
    [/--model: 1 … 64/, ...device, "--label", path("label"), "--model", ""],
    [/share from 0 to 0\.99/, ...device, "--label", path("label"), "--loss", ""],
    [/share from 0 to 0\.99/, ...device, "--label", path("label"), "--loss", "0x0"],
    [/from 0 to 86400000/, ...device, "--label", path("label"), "--news-spread", "Infinity"],
    [/networks reserve/, ...device, "--device-id", "00".repeat(6), ...own],
    [/dev-1 is in it 2 times/, "fleet", "--labels", path("twice"), ...radio, "--allow-unsigned"],
    [/from 100 to 10000000/, ...plan, "--rate", "1"],
    [/from 1 to 1000000/, "plan", path("image"), "--devices", "1000001", "--loss", "0"],
    [/from 0 to 3600000/, ...plan, "--gap", "3600001"],
    [/not both/, ...plan, "--campaign", "c"],
  ];
  for (const [reason, ...args] of wrong) {
    const { status, stderr } = airlift(...args);
    assert.equal(status, 2, args.join(" "));
    assert.match(stderr, reason);
  }
  assert.match(
    airlift("pack", path("image"), ...identity, "--version", "1.0.300").stderr,
    /no device can say that it runs/,
  );
});
