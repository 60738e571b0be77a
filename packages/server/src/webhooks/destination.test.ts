import assert from "node:assert/strict";
import { test } from "node:test";
import { checkDestination, isPublicAddress } from "./destination.ts";

const STRICT = { allowsHttp: false, allowsPrivate: false };

test("addresses that nobody on the Internet has are not public, in whichever way they are written", () => {
  const special = [
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "127.0.0.1",
    "169.254.169.254",
    "172.31.0.1",
    "192.168.1.1",
    "192.0.2.1",
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "64:ff9b::7f00:1",
    "fe80::1",
    "fc00::1",
    "fd12::1",
    "ff02::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2001::1",
    "name.example",
    "",
  ];
  for (const address of special) assert.equal(isPublicAddress(address), false, address);
  for (const address of ["1.1.1.1", "172.32.0.1", "192.0.1.1", "2606:4700::1", "2a00:1450::1"])
    assert.equal(isPublicAddress(address), true, address);
});

test("https to public places only, unless the operator of the server said otherwise", () => {
  assert.equal(checkDestination("https://hooks.example/a?b", STRICT).href, "https://hooks.example/a?b");
  const refused = [
    "http://hooks.example/",
    "ftp://hooks.example/",
    "https://user:word@hooks.example/",
    "https://127.0.0.1/",
    "https://[::1]/",
    "https://localhost/",
    "https://api.localhost/",
    "https://2130706433/",
    "https://0x7f.1/",
    "https://[::ffff:10.0.0.1]/",
    "no url",
  ];
  for (const url of refused) assert.throws(() => checkDestination(url, STRICT), { code: "WEBHOOK_URL" }, url);
  checkDestination("http://192.168.0.7:9000/x", { allowsHttp: true, allowsPrivate: true });
  assert.throws(() => checkDestination("http://192.168.0.7/", { allowsHttp: true, allowsPrivate: false }));
  assert.throws(() => checkDestination("http://hooks.example/", { allowsHttp: false, allowsPrivate: true }));
});
