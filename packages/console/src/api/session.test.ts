import assert from "node:assert/strict";
import { test } from "node:test";
import type { Session } from "@airlift/protocol/api/credentials";
import { QueryClient } from "@tanstack/react-query";
import { ownerOf, sessionEnded, sessionQuery, signedIn, signedOut } from "./session.ts";

const aSession = (name: string, role: Session["role"] = "operator", account: string | null = null): Session => ({
  name,
  role,
  account,
  expiresAt: null,
});

/** A page that Ann is signed in to, and that has seen something. */
function annsPage() {
  const client = new QueryClient();
  signedIn(client, aSession("ann"));
  client.setQueryData(["devices", "one", "pump"], { note: "Ann's to see" });
  const seen = () => client.getQueryCache().findAll({ queryKey: ["devices"] }).length;
  const session = () => client.getQueryData(sessionQuery().queryKey);
  return { client, seen, session };
}

test("whoever's session ends finds the page as it was when they sign in again", () => {
  const { client, seen, session } = annsPage();
  sessionEnded(client);
  assert.equal(session(), null);
  assert.equal(ownerOf(client)?.name, "ann");
  signedIn(client, aSession("ann"));
  assert.equal(seen(), 1);
});

test("another person, or the same one in another role, sees nothing of what was seen before", () => {
  for (const next of [aSession("bob"), aSession("ann", "viewer")]) {
    const { client, seen, session } = annsPage();
    sessionEnded(client);
    signedIn(client, next);
    assert.equal(seen(), 0);
    assert.deepEqual(session(), next);
    assert.deepEqual(ownerOf(client), next);
  }
});

test("also when they signed in in another tab, of which this page hears when it asks who it is", async (t) => {
  const { client, seen } = annsPage();
  t.mock.method(globalThis, "fetch", async () => Response.json(aSession("bob")));
  await client.fetchQuery({ ...sessionQuery(), staleTime: 0 });
  assert.equal(seen(), 0);
  assert.equal(ownerOf(client)?.name, "bob");
});

test("whoever signs out leaves nothing behind", () => {
  const { client, seen, session } = annsPage();
  signedOut(client);
  assert.deepEqual([seen(), session(), ownerOf(client)], [0, null, undefined]);
});

test("two that a sign-in provider calls the same are two, and one whom it calls something else meanwhile is one", () => {
  const client = new QueryClient();
  const came = (name: string, subject: string) =>
    signedIn(client, aSession(name, "operator", `account https://login.example ${subject}`));
  const seen = () => client.getQueryData(["devices"]);
  came("kim", "1");
  client.setQueryData(["devices"], "the first Kim's to see");
  sessionEnded(client);
  came("kim renamed", "1");
  assert.equal(seen(), "the first Kim's to see");
  sessionEnded(client);
  came("kim renamed", "2");
  assert.equal(seen(), undefined);
});
