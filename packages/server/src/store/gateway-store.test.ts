import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { openScratchStores, type ScratchStores } from "./scratch-stores.ts";

let scratch: ScratchStores;
before(async () => {
  scratch = await openScratchStores();
});
after(() => scratch.close());

test("a gateway that was removed takes its tokens along: none of them speaks for the next one of its name", async () => {
  const { mesh, tokens } = scratch.stores;
  const asked = { id: "gw-1", cells: ["yard"] };
  await mesh.gateways.add(asked);
  const { token } = await tokens.create({ role: "gateway", name: "gw-1" });
  const other = await tokens.create({ role: "gateway", name: "gw-2" });
  const person = await tokens.create({ role: "viewer", name: "gw-1" });
  assert.equal((await tokens.holderOf(token))?.name, "gw-1");
  await mesh.gateways.remove("gw-1");
  await mesh.gateways.add(asked);
  assert.equal(await tokens.holderOf(token), undefined);
  assert.equal((await tokens.holderOf(other.token))?.name, "gw-2");
  assert.equal((await tokens.holderOf(person.token))?.role, "viewer");
});
