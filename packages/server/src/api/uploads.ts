/** /api/v1/uploads: images in pieces, over as many connections as it takes. */
import type { Readable } from "node:stream";
import { AddedImage, NewUpload, Upload } from "@airlift/protocol/api/schemas";
import { UsageError } from "@airlift/protocol/lib/errors";
import { z } from "zod";
import type * as store from "../store/ports.ts";
import { blameSender, sendAdded } from "./images.ts";
import type { Api, ApiParts } from "./routes.ts";

const OneUpload = z.object({ id: z.string().min(1).max(64) });
const PieceHeaders = z.object({ "upload-offset": z.coerce.number().int().nonnegative() });

export function uploadRoutes(app: Api, { stores: { uploads, images } }: ApiParts): void {
  app.post(
    "/uploads",
    { schema: { tags: ["images"], summary: "Begin an upload in pieces", body: NewUpload, response: { 201: Upload } } },
    async ({ body: { sizeBytes, ...name } }, reply) => {
      const upload = await uploads.begin({ name, sizeBytes });
      return await reply.status(201).header("location", `/api/v1/uploads/${upload.id}`).send(toUpload(upload));
    },
  );

  app.get(
    "/uploads/:id",
    { schema: { tags: ["images"], summary: "Where an upload stands", params: OneUpload, response: { 200: Upload } } },
    async (request) => toUpload(await uploads.get(request.params.id)),
  );

  app.patch(
    "/uploads/:id",
    {
      config: { isAudited: false },
      schema: {
        tags: ["images"],
        summary: "The next piece; the body is its bytes",
        consumes: ["application/octet-stream"],
        params: OneUpload,
        headers: PieceHeaders,
        response: { 200: Upload },
      },
    },
    async (request) => {
      if (request.headers["content-type"] !== "application/octet-stream")
        throw new UsageError("BAD_REQUEST", "the body is a piece, with content type application/octet-stream");
      const { "upload-offset": offset } = request.headers;
      return toUpload(await uploads.append(request.params.id, offset, request.body as Readable));
    },
  );

  app.post(
    "/uploads/:id/finish",
    {
      schema: {
        tags: ["images"],
        summary: "Make the image, or the delta, of a complete upload; asked again, it answers the same",
        params: OneUpload,
        response: { 200: AddedImage, 201: AddedImage },
      },
    },
    async (request, reply) => {
      const added = await uploads
        .take(request.params.id, (content, { name }) => images.add(content, name))
        .catch(blameSender);
      return await sendAdded(reply, added);
    },
  );

  app.delete(
    "/uploads/:id",
    { schema: { tags: ["images"], summary: "Give an upload up", params: OneUpload, response: { 204: z.null() } } },
    async (request, reply) => {
      await uploads.delete(request.params.id);
      return await reply.status(204).send(null);
    },
  );
}

const toUpload = ({ id, offset, sizeBytes, expiresAtMs }: store.Upload): Upload => ({
  id,
  offset,
  sizeBytes,
  expiresAt: new Date(expiresAtMs).toISOString(),
});
