import assert from "node:assert/strict";
import { test } from "node:test";
import { isSamePerson, type PersonId, peopleText } from "./person.ts";

const account = (sub: string): PersonId => `account https://login.example ${sub}`;

test("an account is told from another by issuer and subject alone", () => {
  assert.ok(!isSamePerson({ name: "Kim", id: account("1") }, { name: "Kim", id: account("2") }));
  assert.ok(isSamePerson({ name: "Kim", id: account("1") }, { name: "Kim Renamed", id: account("1") }));
  assert.ok(!isSamePerson({ name: "Kim", id: account("1") }, { name: "Kim", id: "account https://other.example 1" }));
});

test("tokens of one name are one person's, and so is an account of that name", () => {
  assert.ok(isSamePerson({ name: "kim", id: "token a" }, { name: "kim", id: "token b" }));
  assert.ok(!isSamePerson({ name: "kim", id: "token a" }, { name: "lee", id: "token b" }));
  assert.ok(isSamePerson({ name: "kim", id: "token a" }, { name: "kim", id: account("1") }));
});

test("where nobody was asked who they are the names decide", () => {
  assert.ok(isSamePerson({ name: "kim" }, { name: "kim", id: account("1") }));
  assert.ok(!isSamePerson({ name: "kim" }, { name: "lee" }));
});

test("a sentence names people, and counts them when there are many", () => {
  const named = (...names: string[]) => peopleText(names.map((name) => ({ name })));
  assert.deepEqual([named("ann"), named("ann", "ann"), named("ann", "ben")], ["ann", "ann", "ann and ben"]);
  assert.equal(named("ann", "ben", "cleo", "dan", "eve"), "ann, ben, cleo, dan and 1 other");
  assert.equal(named("ann", "ben", "cleo", "dan", "eve", "fay"), "ann, ben, cleo, dan and 2 others");
});
