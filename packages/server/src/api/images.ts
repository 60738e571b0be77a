/** /api/v1/images: the firmware that can be installed. */
import type { Readable } from "node:stream";
import { AddedImage, Image, NewImage, pageOf } from "@airlift/protocol/api/schemas";
import { PeerError, UsageError } from "@airlift/protocol/lib/errors";
import type { FastifyReply } from "fastify";
import { z } from "zod";
import { imageWarnings } from "../delivery/image-match.ts";
import type { ImageStore } from "../store/ports.ts";
import { PageQuery } from "./queries.ts";
import type { Api, ApiParts } from "./routes.ts";

const OneImage = z.object({ id: Image.shape.id });

export function imageRoutes(app: Api, { stores, config }: ApiParts): void {
  const { images } = stores;
  app.addContentTypeParser("application/octet-stream", (_, payload, done) => done(null, payload));

  app.post(
    "/images",
    {
      schema: {
        tags: ["images"],
        summary: "Add an image, or a delta to the image of this name; the body is its bytes",
        consumes: ["application/octet-stream"],
        querystring: NewImage,
        response: { 200: AddedImage, 201: AddedImage },
      },
    },
    async (request, reply) => {
      if (request.headers["content-type"] !== "application/octet-stream")
        throw new UsageError("IMAGE_EMPTY", "the body is the image, with content type application/octet-stream");
      if (Number(request.headers["content-length"] ?? 0) > config.maxImageBytes)
        throw new UsageError("IMAGE_TOO_LARGE", `the image is larger than ${config.maxImageBytes} bytes`, {
          maxBytes: config.maxImageBytes,
        });
      const added = await images.add(request.body as Readable, request.query).catch(blameSender);
      return await sendAdded(reply, added);
    },
  );

  app.get(
    "/images",
    {
      schema: {
        tags: ["images"],
        summary: "Images, newest first",
        querystring: PageQuery,
        response: { 200: pageOf(Image) },
      },
    },
    async (request) => await images.list(request.query),
  );

  app.get(
    "/images/:id",
    { schema: { tags: ["images"], summary: "One image", params: OneImage, response: { 200: Image } } },
    async (request) => {
      const image = await images.get(request.params.id);
      if (image === undefined) throw new UsageError("UNKNOWN_IMAGE", `there is no image ${request.params.id}`);
      return image;
    },
  );
}

/** What was added, as both ways of adding answer. */
export async function sendAdded(reply: FastifyReply, added: Awaited<ReturnType<ImageStore["add"]>>) {
  const { image, isNew, headerVersion = null, delta = null } = added;
  // What an image is warned of was said when it was added itself.
  const warnings = delta === null ? imageWarnings(image, headerVersion) : [];
  return await reply
    .status(isNew ? 201 : 200)
    .header("location", `/api/v1/images/${image.id}`)
    .send({ ...image, delta, warnings });
}

/** Who sends bytes that are no image made the mistake; there is no third party. */
export function blameSender(error: unknown): never {
  if (error instanceof PeerError && error.code !== "UPLOAD_CUT")
    throw new UsageError(error.code, error.message, error.facts, { cause: error });
  throw error;
}
