/** Fuzz targets: links, registrations, operations and object files throw nothing but PeerError. */
import assert from "node:assert/strict";
import { METHOD } from "@airlift/protocol/coap/codes";
import { encodeUtf8 } from "@airlift/protocol/lib/bytes";
import { PeerError } from "@airlift/protocol/lib/errors";
import { decodeArguments, encodeArguments } from "@airlift/protocol/lwm2m/execute-arguments";
import { decodeLinks, encodeLinks } from "@airlift/protocol/lwm2m/link-format";
import { parseRegistryXml } from "@airlift/protocol/lwm2m/objects/registry-xml";
import { decodeOperation } from "@airlift/protocol/lwm2m/operations";
import { decodeRegister, decodeUpdate, encodeRegister } from "@airlift/protocol/lwm2m/registration";
import { decodeSend, sendRequest } from "@airlift/protocol/lwm2m/reporting";
import { requestOf } from "@airlift/protocol/lwm2m/request";

/** Runs `decode`, and whether what it accepted survives `again`. */
function accept<T>(decode: () => T, again: (value: T) => T): void {
  let value: T;
  try {
    value = decode();
  } catch (error) {
    if (error instanceof PeerError) return;
    throw error;
  }
  assert.deepEqual(again(value), value);
}

const LINKS = [
  '</>;rt="oma.lwm2m";ct="60 110 112 11542 11543",</1/0>,</2>,</3/0>,</4/0>,</5/0>;ver="1.1",</7/0>',
  '</lwm2m>;rt="oma.lwm2m";ct=11543,</lwm2m/1/0>,</lwm2m/5>;ver=1.1,</lwm2m/5/0>',
  '</sensors>;ct=40;title="a \\"b\\" c";obs',
].map(encodeUtf8);

const links = {
  name: "lwm2m-links",
  corpus: LINKS,
  run: (bytes: Uint8Array) =>
    accept(
      () => decodeLinks(bytes),
      (value) => decodeLinks(encodeLinks(value)),
    ),
};

const executeArguments = {
  name: "lwm2m-arguments",
  corpus: ["0", "0='x',2", "1,2='',9='</33629/1>,</33629/2>'"].map(encodeUtf8),
  run: (bytes: Uint8Array) =>
    accept(
      () => decodeArguments(bytes),
      (value) => decodeArguments(encodeArguments(value)),
    ),
};

/** The first line is the query, options separated by `&`; the rest is the payload. */
function split(bytes: Uint8Array): { first: string[]; payload: Uint8Array } {
  const end = bytes.indexOf(10);
  const head = Buffer.from(end < 0 ? bytes : bytes.subarray(0, end)).toString("latin1");
  return { first: head.split("&"), payload: end < 0 ? new Uint8Array(0) : bytes.subarray(end + 1) };
}

const registration = {
  name: "lwm2m-registration",
  corpus: ["ep=dev-1&lt=300&lwm2m=1.0&b=UQ&sms=49123", "ep=dev-1&lwm2m=1.1&Q&b=U", "lwm2m=1.2&lt=1"].flatMap((query) =>
    LINKS.map((payload) => Buffer.concat([Buffer.from(`${query}\n`), payload])),
  ),
  run(bytes: Uint8Array): void {
    const { first, payload } = split(bytes);
    const request = { uriQuery: first, contentFormat: 40, payload };
    accept(
      () => decodeRegister(request),
      // What cannot be sent in one query option can still be read from one.
      (value) => (JSON.stringify(value.endpoint ?? "").length > 200 ? value : decodeRegister(encodeRegister(value))),
    );
    accept(
      () => decodeUpdate(request),
      (value) => value,
    );
  },
};

/** The first line is method, path and query, separated by blanks. */
const operations = {
  name: "lwm2m-operations",
  corpus: [
    "1 5/0/3",
    "2 5/0/2\n0='x'",
    "3 5/0/1\ncoap://x/y",
    "3 5/0/3 pmin=1&pmax=60&gt=1.5&st",
    "4 9/1",
    "2 9\n\u0001",
  ].map(encodeUtf8),
  run(bytes: Uint8Array): void {
    const { first, payload } = split(bytes);
    const [code = "", path = "", query = ""] = first.join("&").split(" ");
    const uriQuery = query === "" ? [] : query.split("&");
    const request = requestOf({ code: Number(code), uriPath: path.split("/"), uriQuery, payload });
    accept(
      () => decodeOperation(request),
      (value) => value,
    );
  },
};

const objectFile = {
  name: "lwm2m-object-file",
  corpus: [
    `<LWM2M><Object><Name>A &amp; B</Name><ObjectID>10</ObjectID><ObjectVersion>1.1</ObjectVersion>
<MultipleInstances>Single</MultipleInstances><Mandatory>Optional</Mandatory><Resources><Item ID="0"><Name>N</Name>
<Operations>RW</Operations><MultipleInstances>Multiple</MultipleInstances><Mandatory>Mandatory</Mandatory>
<Type>Unsigned Integer</Type><RangeEnumeration>0..9</RangeEnumeration><Units/></Item></Resources></Object></LWM2M>`,
  ].map(encodeUtf8),
  run(bytes: Uint8Array): void {
    accept(
      () => parseRegistryXml(Buffer.from(bytes).toString("utf8")),
      (value) => value,
    );
  },
};

/** The first line is the content format. */
const reports = {
  name: "lwm2m-reports",
  corpus: [
    Buffer.concat([Buffer.from("112\n"), sendRequest([{ path: [5, 0, 3], value: 2 }]).payload]),
    encodeUtf8('110\n[{"bn":"/5/0/","n":"3","v":2},{"n":"5","v":0}]'),
  ],
  run(bytes: Uint8Array): void {
    const { first, payload } = split(bytes);
    const request = requestOf({ code: METHOD.post, contentFormat: Number(first[0]), payload });
    accept(
      () => decodeSend(request),
      (value) => value,
    );
  },
};

export const lwm2mTexts = [links, executeArguments, registration, operations, objectFile, reports];
