/** `airlift token`: who may use the API. */
import { join } from "node:path";
import { CreatedToken, type NewToken, ROLES, type Role, Token } from "@airlift/protocol/api/credentials";
import { openStores } from "@airlift/server/store/stores";
import { type Command, Option } from "commander";
import { postOf, segment } from "../client.ts";
import { clientOf, durationS, printResult, say } from "../terminal.ts";
import { agoText, clockText, table } from "../text.ts";

interface CreateOptions {
  readonly role: Role;
  readonly name?: string;
  readonly expires?: number;
  readonly data?: string;
  readonly databaseUrl?: string;
  readonly masterKeyFile?: string;
}

export function registerToken(program: Command): void {
  const token = program.command("token").description("the tokens that people and programs show the server");
  registerCreate(token);
  token
    .command("list")
    .description("list the tokens, newest first")
    .action(async (_: unknown, command: Command) => {
      const tokens = await clientOf(command).all("tokens", Token);
      printResult(command, tokens, () =>
        table(
          ["ID", "NAME", "ROLE", "STATE", "EXPIRES", "LAST USED", "MADE"],
          tokens.map((one) => [
            one.id,
            one.name,
            one.role,
            stateOf(one),
            one.expiresAt === null ? "never" : clockText(one.expiresAt, Date.now()),
            one.lastUsedAt === null ? "never" : agoText(one.lastUsedAt, Date.now()),
            agoText(one.createdAt, Date.now()),
          ]),
        ),
      );
    });
  token
    .command("revoke <id>")
    .description("end a token and its sessions at once")
    .action(async (id: string, _: unknown, command: Command) => {
      const revoked = await clientOf(command).call(`tokens/${segment(id)}`, Token, { method: "DELETE" });
      printResult(command, revoked, () => `${revoked.id}  ${revoked.name} is good no more\n`);
    });
}

function registerCreate(token: Command): void {
  token
    .command("create")
    .description("make a token and print it, this once")
    .addOption(new Option("--role <role>", "what it may do").choices(ROLES).makeOptionMandatory())
    .option("--name <name>", "whose it is")
    .option("--expires <duration>", "how long it is good: 12h, 90d; without it, until it is revoked", durationS)
    .option("--data <dir>", "make it in this data folder, with the server stopped: when nobody has a good token")
    .option("--database-url <url>", "make it in this database, without asking a server")
    .option("--master-key-file <file>", "with --data or --database-url, when the server has one")
    .action(async (options: CreateOptions, command: Command) => {
      const { role, name, expires, data, databaseUrl } = options;
      const asked: NewToken = { role, ...(name !== undefined && { name }), ...(expires && { expiresInS: expires }) };
      const isLocal = data !== undefined || databaseUrl !== undefined;
      const created = isLocal
        ? await createLocally(asked, options)
        : await clientOf(command).call("tokens", CreatedToken, postOf(asked));
      say(`${created.id}: keep it, it is not shown again`);
      printResult(command, created, () => `${created.token}\n`);
    });
}

/** Whoever may write the data folder or the database rules the server already. */
async function createLocally(asked: NewToken, { data, databaseUrl, masterKeyFile }: CreateOptions) {
  const dataDir = data ?? ".airlift";
  const stores = await openStores({
    dataDir,
    databaseUrl: databaseUrl ?? null,
    maxImageBytes: 1,
    inspect: () => ({ format: "raw", signature: null, securityCounter: null }),
    masterKey: {
      text: process.env["AIRLIFT_MASTER_KEY"] ?? null,
      file: masterKeyFile ?? join(dataDir, "master.key"),
    },
  });
  try {
    return await stores.tokens.create(asked);
  } finally {
    await stores.close();
  }
}

const stateOf = ({ revokedAt, expiresAt }: Token): string => {
  if (revokedAt !== null) return "revoked";
  return expiresAt !== null && Date.parse(expiresAt) <= Date.now() ? "expired" : "good";
};
