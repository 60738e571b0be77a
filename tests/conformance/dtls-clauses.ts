/** What DTLS, Connection IDs and raw public keys demand, clause by clause, and the tests whose names say that they show it. */
import { readdirSync, readFileSync } from "node:fs";
import { basename } from "node:path";

export interface Clause {
  readonly rfc: 6347 | 9146 | 7250;
  readonly clause: string;
  /** What it demands, in short. */
  readonly demand: string;
}

const clause = (rfc: Clause["rfc"], number: string, demand: string): Clause => ({ rfc, clause: number, demand });

export const CLAUSES: readonly Clause[] = [
  clause(
    6347,
    "4.1",
    "Epoch and sequence number; records that come before their keys; no record of an epoch that is over",
  ),
  clause(6347, "4.1.1.1", "Messages get smaller where large datagrams are lost"),
  clause(6347, "4.1.2.6", "A record counts once; a window of the newest 64"),
  clause(6347, "4.1.2.7", "An invalid record is dropped, and ends nothing"),
  clause(6347, "4.2.1", "A stateless cookie before anything is kept or much is said"),
  clause(6347, "4.2.2", "Messages are numbered and taken in order"),
  clause(6347, "4.2.3", "Messages in pieces, in any order, overlapping"),
  clause(6347, "4.2.4", "Flights are sent again until the next one comes; the last one is answered again"),
  clause(6347, "4.2.4.1", "The time doubles from 1 s"),
  clause(6347, "4.2.6", "Finished is over all messages as if each were whole"),
  clause(6347, "4.2.8", "A new hello at the address of a session does not touch it before it is proven"),
  clause(9146, "3", "The extension; each side chooses its own ID, or none"),
  clause(9146, "4", "The record with an ID: ID before the length, the type inside, zeros as padding"),
  clause(9146, "5", "All of the header is authenticated"),
  clause(9146, "5.3", "Nonce and additional data of AEAD ciphers"),
  clause(9146, "6", "A new address with the newest authentic record only"),
  clause(7250, "3", "The certificate type extensions: a list in the client's hello, one in the server's"),
  clause(7250, "4", "Raw public keys both ways"),
  clause(7250, "4.1", "Each side may show another type"),
  clause(7250, "4.2", "Only types that the peer named are chosen"),
  clause(7250, "6", "A raw key is worth what a look-up of it says"),
];

export interface ClauseTest {
  readonly name: string;
  /** From the root of the project. */
  readonly file: string;
}

const ROOT = new URL("../../", import.meta.url);
const FOLDERS = [
  "packages/protocol/src/dtls/",
  "packages/runtime/src/",
  "tests/world/",
  "tests/e2e/",
  "tests/interop/",
];
const TITLE = /\btest\(\s*(?:"([^"]+)"|`([^`]+)`)/g;

/** The tests of a clause: those that name it. */
export function testsOf({ rfc, clause: number }: Clause, tests: readonly ClauseTest[]): readonly ClauseTest[] {
  return tests.filter(({ name }) => clausesIn(name).some((found) => found === `${rfc} §${number}`));
}

/** "6347 §4.2.2" for each clause of ours in a test's name; "RFC 6347 §4.2.2, §4.2.3" names two. */
export function clausesIn(name: string): readonly string[] {
  const parts = [...name.matchAll(/RFC (\d+) ((?:§[\d.]*\d(?:, )?)+)/g)];
  const all = parts.flatMap(([, rfc, numbers = ""]) =>
    [...numbers.matchAll(/§([\d.]*\d)/g)].map(([, number]) => `${rfc} §${number}`),
  );
  return all.filter((found) => CLAUSES.some(({ rfc }) => found.startsWith(`${rfc} `)));
}

/** All tests near DTLS, by the titles in their files; what a title takes from a list is "…". */
export function allTests(): readonly ClauseTest[] {
  return FOLDERS.flatMap((folder) =>
    readdirSync(new URL(folder, ROOT))
      .filter((file) => file.endsWith(".test.ts"))
      .flatMap((file) => {
        const text = readFileSync(new URL(folder + file, ROOT), "utf8");
        return [...text.matchAll(TITLE)].map(([, plain, template]) => ({
          name: (plain ?? template ?? "").replaceAll(/\$\{[^}]*\}/g, "…"),
          file: folder + file,
        }));
      }),
  );
}

/** The table in Markdown, without a line break at its end. */
export function formatClauses(): string {
  const tests = allTests();
  const rows = CLAUSES.map((one) => {
    const shown = testsOf(one, tests).map(
      ({ name, file }) => `${withoutClauses(name)} (\`${basename(file, ".test.ts")}\`)`,
    );
    return `| ${one.rfc} §${one.clause} | ${one.demand} | ${shown.join("; ")} |`;
  });
  return ["| RFC | demands | shown by |", "|---|---|---|", ...rows].join("\n");
}

const withoutClauses = (name: string): string => name.replace(/^(RFC \d+ (?:§[\d.]*\d(?:, )?)+(?:, | and )?)+: /, "");
