"""Reads tests/vectors/zmesh.json with an implementation of its own, written from docs/guide/zmesh.md: prints what it checked.

Needs Python 3.9 and the package `cryptography`.
"""
import hashlib, json, math, sys, unicodedata, zlib
from urllib.parse import quote
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESCCM
from cryptography.hazmat.primitives.cmac import CMAC
from cryptography.hazmat.primitives.serialization import load_der_public_key

vectors = json.load(open(sys.argv[1], encoding="utf-8"))
checked = {}
b = bytes.fromhex


def check(what, found, expected):
    if found != expected:
        found, expected = (v.hex() if isinstance(v, bytes) else v for v in (found, expected))
        raise SystemExit(f"{what}: found {found}, expected {expected}")
    checked[what] = checked.get(what, 0) + 1


def uint(value, width):
    return value.to_bytes(width, "big")


# Names
def uri_of(*parts):
    return "zdm/sw/" + "-".join(quote(unicodedata.normalize("NFC", p), safe="._~").replace("-", "%2D") for p in parts)


def name_of(uri):
    rest, digits = int.from_bytes(hashlib.sha256(uri.encode()).digest(), "big") % 254**5, []
    for _ in range(5):
        rest, digit = divmod(rest, 254)
        digits.insert(0, digit + 1)
    return bytes([0xFE, *digits])


for one in vectors["names"]:
    check("uri", uri_of(one["manufacturer"], one["model"], one["version"]), one["uri"])
    check("name", name_of(one["uri"]), b(one["name"]))
    check("name sha256-48", hashlib.sha256(one["uri"].encode()).digest()[:6], b(one["sha256_48"]))
for one in vectors["crc32"]:
    check("crc32", uint(zlib.crc32(b(one["bytes"])), 4), b(one["crc32"]))


# Content
def seal(content, seq, plain):
    key, iv, name = b(content["key"]), b(content["iv"]), b(content["name"])
    if content["encType"] == 0:
        return plain
    if content["encType"] == 1:
        enc = Cipher(algorithms.AES(key), modes.CTR(iv + uint(seq, 3) + bytes(4))).encryptor()
        return enc.update(plain) + enc.finalize()
    return AESCCM(key, tag_length=8).encrypt(iv + uint(seq, 4), plain, name + uint(seq, 3))


def mix(h):
    h &= 0xFFFFFFFF
    h = ((h ^ (h >> 16)) * 0x85EBCA6B) & 0xFFFFFFFF
    h = ((h ^ (h >> 13)) * 0xC2B2AE35) & 0xFFFFFFFF
    return h ^ (h >> 16)


def log4096(n):
    exponent = n.bit_length() - 1
    mantissa = n >> (exponent - 15) if exponent > 15 else n << (15 - exponent)
    binary = exponent
    for _ in range(12):
        mantissa = (mantissa * mantissa) >> 15
        bit = mantissa >> 16
        mantissa >>= bit
        binary = binary * 2 + bit
    return (binary * 2839) >> 12


def hashed_row(n, count):
    threshold = min(2**31, ((log4096(n) + 4 * 4096) << 20) // n)
    return [i for i in range(1, count + 1) if mix(mix(n) + i * 0x9E3779B1) < threshold]


def ts004_row(n, count):
    modulus, members, state = count + (count & (count - 1) == 0), set(), 1 + 1001 * n
    for _ in range(count // 2):
        column = count
        while column >= count:
            state = (state >> 1) + (((state ^ (state >> 5)) & 1) << 22)
            column = state % modulus
        members.add(column + 1)
    return members


def check_content(content, image):
    what = content.get("what", "manifest") + ": "
    k, chunk, tag = content["dataCount"], content["chunk"], 8 * (content["encType"] == 2)
    check(what + "chunk", chunk % 8 == 0 and chunk + tag <= content["mtu"], True)
    check(what + "K", k, math.ceil(len(image) / chunk))
    schedule = uint(content["updateAtMs"], 6) + b(content["name"]) + uint(content["mtu"], 2) + bytes([content["encType"]])
    check(what + "schedule", schedule + b(content["iv"]) + b(content["key"]), b(content["schedule"]))
    begin = uint(len(image), 4) + uint(zlib.crc32(image), 4) + uint(k, 4)
    padded = image + b"\xff" * (k * chunk - len(image))
    repair_count = sum(m["kind"] == "repair" for m in content["messages"])
    end = begin + uint(repair_count, 3) + bytes([content["repairScheme"]]) + bytes(8) + hashlib.sha256(image).digest()[:16]
    payloads = {}
    for m in content["messages"]:
        seq, kind = m["seq"], m["kind"]
        if kind == "repair":
            row = {1: ts004_row, 2: hashed_row}[content["repairScheme"]](seq - k - 1, k)
            parity = bytes(chunk + tag)
            for i in row:
                parity = bytes(x ^ y for x, y in zip(parity, payloads[i]))
            check(what + kind, parity, b(m["payload"]))
            continue
        plain = {"begin": begin, "end": end, "data": padded[(seq - 1) * chunk : seq * chunk]}[kind]
        check(what + kind + " plain", plain, b(m["plain"]))
        payloads[seq] = seal(content, seq, plain)
        check(what + kind, payloads[seq], b(m["payload"]))
    return payloads


for content in vectors["contents"]:
    check_content(content, b(content["image"]))


# Manifest: a writer of the CBOR it needs
def head(major, value):
    if value < 24:
        return bytes([major << 5 | value])
    width = 1 if value < 256 else 2 if value < 65536 else 4
    return bytes([major << 5 | {1: 24, 2: 25, 4: 26}[width]]) + uint(value, width)


def cbor(item):
    if isinstance(item, int):
        return head(0, item) if item >= 0 else head(1, -1 - item)
    if isinstance(item, bytes):
        return head(2, len(item)) + item
    if isinstance(item, str):
        return head(3, len(item.encode())) + item.encode()
    if isinstance(item, list):
        return head(4, len(item)) + b"".join(map(cbor, item))
    return head(5, len(item)) + b"".join(cbor(k) + cbor(v) for k, v in item.items())


manifest = vectors["manifest"]
fields = dict(manifest["fields"], imageDigest=b(manifest["fields"]["imageDigest"]), blockDigests=b(manifest["fields"]["blockDigests"]))
order = ["manufacturer", "model", "hardwareRevisions", "version", "securityCounter", "imageDigest", "lengthBytes", "chunkBytes",
         "dataCount", "blockDigests", "gapMs", "baseVersion"]
payload = cbor({i + 1: fields[field] for i, field in enumerate(order) if field in fields})
check("manifest payload", payload, b(manifest["payload"]))
protected = cbor({1: -8})
signed = b(manifest["signed"])
check("manifest form", signed[: -64], b"\xd2\x84" + cbor(protected) + b"\xa0" + cbor(payload) + b"\x58\x40")
try:
    load_der_public_key(b(manifest["publicKeySpki"])).verify(signed[-64:], cbor(["Signature1", protected, b"", payload]))
except InvalidSignature:
    raise SystemExit("manifest: the signature is wrong")
check("manifest iv", b(manifest["content"]["iv"])[0], b(vectors["contents"][0]["iv"])[0] ^ 0x80)
check("manifest name", name_of(vectors["contents"][0]["uri"] + "/manifest"), b(manifest["content"]["name"]))
check_content(manifest["content"], signed)
image = bytes(i % 256 for i in range(manifest["imageSizeBytes"]))
check("manifest image", hashlib.sha256(image).digest(), fields["imageDigest"])
chunk, k = fields["chunkBytes"], fields["dataCount"]
padded = image + b"\xff" * (k * chunk - len(image))
payloads = [seal(vectors["contents"][0], seq, padded[(seq - 1) * chunk : seq * chunk]) for seq in range(1, k + 1)]
blocks = [hashlib.sha256(b"".join(payloads[i : i + 64])).digest()[:16] for i in range(0, k, 64)]
check("manifest blocks", b"".join(blocks), fields["blockDigests"])


# Commands, status, frames
def wrap(channel, direction, fseq, plain):
    nonce = b(channel["iv"]) + bytes([direction]) + uint(fseq, 3)
    return AESCCM(b(channel["key"]), tag_length=6).encrypt(nonce, plain, b(channel["name"]) + uint(fseq, 3))


for one in vectors["commands"]:
    check("command " + one["kind"], wrap(one["channel"], 0, one["fseq"], b(one["plain"])), b(one["payload"]))
status = vectors["status"]
for one in status["events"]:
    f = one["fields"]
    plain = b(f["name"]) + bytes([status["states"][f["state"]] << 4 | status["details"][f["detail"]], status["results"][f["result"]]])
    plain += bytes(f["version"]) + uint(f["receivedCount"], 3) + uint(f["deficit"], 2) + bytes([f["flags"], f["batteryPercent"]])
    check("status plain", plain, b(one["plain"]))
    check("status", wrap(status["channel"], 1, one["fseq"], plain), b(one["payload"]))
for one in vectors["interests"]:
    data = b(one["payload"])
    first, bits = int.from_bytes(data[:3], "big"), "".join(f"{octet:08b}" for octet in data[3:])
    check("interest", [first + i for i, bit in enumerate(bits) if bit == "1"] if data else [one["fseq"]], one["seqs"])
for one in vectors["frames"]:
    net_id = b(one.get("netId", ""))
    header = bytes([(0x20 if net_id else 0) | (0x10 if one["isProxied"] else 0) | one["ttl"]])
    kind = {"content": 0, "interest": 1, "command": 2, "event": 3}[one["kind"]]
    covered = b(one["name"]) + bytes([kind]) + uint(one["fseq"], 3) + b(one["payload"])
    mac = CMAC(algorithms.AES(b(one["networkKey"])))
    mac.update(covered)
    check("frame", header + net_id + covered + mac.finalize()[:4], b(one["frame"]))

print(json.dumps(checked))
