/** Throw-away certificates, made by the openssl program. */
import { execFileSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export interface Certified {
  readonly certificate: string;
  readonly privateKey: string;
  readonly certificatePath: string;
  readonly keyPath: string;
}

export interface Authority {
  readonly certificatePath: string;
  readonly certificate: string;
  /** A certificate for 127.0.0.1 and `localhost`, signed by this authority. */
  issue(name: string): Certified;
}

/** Why a test that needs certificates cannot run here; `false` when it can. */
export function skipWithoutOpenssl(): string | false {
  try {
    execFileSync("openssl", ["version"], { stdio: "ignore" });
    return false;
  } catch {
    return process.env["CI"] === "true" ? false : "openssl is not installed";
  }
}

/** @param folder Where the files are kept. */
export function createAuthority(folder: string, authorityName = "ca"): Authority {
  const path = (name: string, ending: string): string => join(folder, `${authorityName}-${name}.${ending}`);
  const openssl = (...args: string[]): void => void execFileSync("openssl", args, { stdio: "ignore" });
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const ca = { key: path("root", "key"), cert: path("root", "pem") };
  openssl("req", "-x509", ...curve, "-keyout", ca.key, "-out", ca.cert, "-days", "2", "-subj", `/CN=${authorityName}`);
  return {
    certificatePath: ca.cert,
    certificate: readFileSync(ca.cert, "utf8"),
    issue: (name) => {
      const [key, request, cert, extensions] = ["key", "csr", "pem", "ext"].map((ending) => path(name, ending));
      if (!key || !request || !cert || !extensions) throw new Error("unreachable");
      openssl("req", ...curve, "-keyout", key, "-out", request, "-subj", `/CN=${name}`);
      writeFileSync(extensions, "subjectAltName=IP:127.0.0.1,DNS:localhost\nbasicConstraints=CA:FALSE\n");
      const signing = ["-CA", ca.cert, "-CAkey", ca.key, "-CAcreateserial", "-days", "2", "-extfile", extensions];
      openssl("x509", "-req", "-in", request, "-out", cert, ...signing);
      const [certificate, privateKey] = [readFileSync(cert, "utf8"), readFileSync(key, "utf8")];
      return { certificate, privateKey, certificatePath: cert, keyPath: key };
    },
  };
}

/** SHA-256 of a certificate in PEM. */
export function fingerprint(pem: string): Uint8Array {
  return Uint8Array.from(Buffer.from(new X509Certificate(pem).fingerprint256.replaceAll(":", ""), "hex"));
}
