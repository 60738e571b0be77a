import assert from "node:assert/strict";
import { test } from "node:test";
import { UsageError } from "@airlift/protocol/lib/errors";
import { planLink } from "./open-link.ts";

test("links by their names", () => {
  const uris = [
    "udp://239.1.2.3:5700",
    "udp://239.1.2.3:80?interface=lo",
    "udp://[ff15::1]:5700",
    "kiss:/dev/ttyUSB0",
    "kiss:/dev/serial/by-id/usb-modem?baud=57600",
    "kiss+tcp://modem.example:8001?ack=1",
  ];
  for (const uri of uris) assert.equal(planLink(uri).uri, uri);
  assert.deepEqual(
    uris.map((uri) => planLink(uri).isWired),
    [true, true, true, false, false, false],
  );
});

test("what is no link is refused with a reason", () => {
  const wrong = [
    "",
    "tcp://a:1",
    "udp://10.0.0.1:5700",
    "udp://239.1.2.3",
    "udp://[::1]:5",
    "kiss:ttyUSB0",
    "kiss:/dev/tty?baud=1",
    "kiss+tcp://modem",
    "kiss+tcp://modem:1?ack=yes",
    "udp://239.1.2.3:5700?hops=",
    "udp://239.1.2.3:5700?hops=1e1",
    "udp://239.1.2.3:5700?hop=1",
    "udp://239.1.2.3:5700?ack=1",
    "kiss:/dev/tty?rate=9600",
    "kiss+tcp://modem:1?interface=lo",
    "udp://",
  ];
  for (const uri of wrong)
    assert.throws(
      () => planLink(uri),
      (error) => error instanceof UsageError && error.code === "LINK_URI",
      uri,
    );
});
