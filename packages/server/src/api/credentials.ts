/** Credentials of devices: /api/v1/devices/{endpoint}/credentials, their import, their authorities, the key they are sealed under. */
import {
  CertificateAuthority,
  CreatedCredential,
  Credential,
  CredentialImport,
  CredentialRotation,
  ImportOutcome,
  MasterKeyRotation,
  NewAuthority,
  NewCredential,
} from "@airlift/protocol/api/credentials";
import { pageOf } from "@airlift/protocol/api/schemas";
import { UsageError } from "@airlift/protocol/lib/errors";
import { z } from "zod";
import type { Api, ApiParts } from "./routes.ts";

const OneDevice = z.object({ endpoint: z.string().min(1).max(255) });
const OneCredential = OneDevice.extend({ id: z.string().min(1).max(64) });
const OneAuthority = z.object({ fingerprint: z.string().min(1).max(64) });
const answersSecret = { answersSecret: true };
/** Certificates are larger than keys. */
const LARGEST_IMPORT_BYTES = 1024 * 1024;

export function credentialRoutes(app: Api, parts: ApiParts): void {
  const { credentials } = parts.stores;
  const tags = ["credentials"];

  app.get(
    "/devices/:endpoint/credentials",
    {
      schema: { tags, summary: "A device's credentials", params: OneDevice, response: { 200: pageOf(Credential) } },
    },
    async (request) => ({ items: await credentials.list(request.params.endpoint), next: null }),
  );

  app.post(
    "/devices/:endpoint/credentials",
    {
      config: answersSecret,
      schema: {
        tags,
        summary: "Add a credential; a key that is made here is told once",
        params: OneDevice,
        body: NewCredential,
        response: { 201: CreatedCredential },
      },
    },
    async ({ params, body }, reply) => await reply.status(201).send(await credentials.add(params.endpoint, body)),
  );

  app.post(
    "/devices/:endpoint/credentials/rotate",
    {
      config: answersSecret,
      schema: {
        tags,
        summary: "Replace a device's credentials; the old ones end when the new one is first used",
        params: OneDevice,
        body: CredentialRotation,
        response: { 201: CreatedCredential },
      },
    },
    async ({ params, body: { credential, overlapS } }, reply) => {
      const overlapMs = overlapS === undefined ? undefined : overlapS * 1000;
      return await reply.status(201).send(await credentials.rotate(params.endpoint, credential, overlapMs));
    },
  );

  app.delete(
    "/devices/:endpoint/credentials/:id",
    {
      schema: { tags, summary: "End a credential at once", params: OneCredential, response: { 204: z.null() } },
    },
    async ({ params }, reply) => {
      await credentials.remove(params.endpoint, params.id);
      return await reply.status(204).send(null);
    },
  );
  app.post(
    "/devices/:endpoint/allow-plain",
    {
      schema: {
        tags,
        summary: "Let a device that has registered with a proof register without one; its credentials go before that",
        params: OneDevice,
        response: { 204: z.null() },
      },
    },
    async (request, reply) => {
      const { endpoint } = request.params;
      const { devices, events } = parts.stores;
      if (!(await devices.allowPlain(endpoint)))
        throw new UsageError("UNKNOWN_DEVICE", `no device has registered as ${endpoint}`, { endpoint });
      const sentence = `${request.principal?.name ?? "local"} lets the device register without a credential again`;
      await events.append({ kind: "device.plainAllowed", endpoint, sentence });
      return await reply.status(204).send(null);
    },
  );
  importRoute(app, parts);
  authorityRoutes(app, parts);
}

function importRoute(app: Api, { stores: { credentials } }: ApiParts): void {
  app.post(
    "/credentials",
    {
      bodyLimit: LARGEST_IMPORT_BYTES,
      schema: {
        tags: ["credentials"],
        summary: "Add many credentials; the same ones again change nothing",
        body: CredentialImport,
        response: { 200: ImportOutcome },
      },
    },
    async (request) => await credentials.addAll(request.body.items),
  );

  app.post(
    "/master-key/rotate",
    {
      schema: {
        tags: ["credentials"],
        summary: "Encrypt all device keys under a fresh master key",
        response: { 200: MasterKeyRotation },
      },
    },
    async () => await credentials.rotateMasterKey(),
  );
}

function authorityRoutes(app: Api, { stores: { credentials } }: ApiParts): void {
  const tags = ["authorities"];

  app.get(
    "/authorities",
    {
      schema: { tags, summary: "Authorities of device certificates", response: { 200: pageOf(CertificateAuthority) } },
    },
    async () => ({ items: await credentials.authorities(), next: null }),
  );

  app.post(
    "/authorities",
    { schema: { tags, summary: "Trust an authority", body: NewAuthority, response: { 201: CertificateAuthority } } },
    async ({ body }, reply) => await reply.status(201).send(await credentials.addAuthority(body.certificatePem)),
  );

  app.delete(
    "/authorities/:fingerprint",
    { schema: { tags, summary: "Trust it no more", params: OneAuthority, response: { 204: z.null() } } },
    async ({ params }, reply) => {
      await credentials.removeAuthority(params.fingerprint);
      return await reply.status(204).send(null);
    },
  );
}
