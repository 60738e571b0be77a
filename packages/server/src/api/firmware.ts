/** /firmware/{image}: the bytes for devices that download over HTTP, resumable at any octet. */
import { Readable } from "node:stream";
import type { Image } from "@airlift/protocol/api/schemas";
import { UsageError } from "@airlift/protocol/lib/errors";
import type { FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import { answerRange } from "./http-range.ts";
import type { Api, ApiParts } from "./routes.ts";

const OneImage = z.object({ image: z.string() });
/** The update for which a device fetches, so that its progress is seen. */
const ForUpdate = z.object({ u: z.string().max(64).optional() });

export function firmwareRoutes(app: Api, { stores, commands }: ApiParts): void {
  app.route({
    method: ["GET", "HEAD"],
    url: "/firmware/:image",
    schema: {
      tags: ["firmware"],
      summary: "An image's or a delta's bytes; Range, If-Range, If-Match",
      params: OneImage,
      querystring: ForUpdate,
    },
    handler: async (request, reply) => {
      const image = await stores.images.fileOf(request.params.image);
      if (image === undefined) throw new UsageError("UNKNOWN_IMAGE", `there is no image ${request.params.image}`);
      const etag = `"${image.sha256.slice(0, 16)}"`;
      reply.header("etag", etag).header("accept-ranges", "bytes").header("content-type", "application/octet-stream");
      reply.header("cache-control", "public, max-age=31536000, immutable");
      const { u: updateId } = request.query;
      const onSent = (offset: number) => updateId !== undefined && commands.onFetched(updateId, offset);
      return await answer({ request, reply, image, etag, onSent });
    },
  });

  interface Asked {
    readonly request: FastifyRequest;
    readonly reply: FastifyReply;
    readonly image: Pick<Image, "sha256" | "sizeBytes">;
    readonly etag: string;
    /** Everything before `offset` has gone out. */
    readonly onSent: (offset: number) => void;
  }

  async function answer({ request, reply, image, etag, onSent }: Asked): Promise<FastifyReply> {
    const { headers } = request;
    const asked = {
      // §14.2: a Range means something for GET alone.
      range: request.method === "GET" ? headers.range : undefined,
      ifRange: oneOf(headers["if-range"]),
      ifMatch: headers["if-match"],
      ifNoneMatch: headers["if-none-match"],
    };
    const found = answerRange(asked, etag, image.sizeBytes);
    if (found.kind === "notModified") return await reply.status(304).send();
    if (found.kind === "preconditionFailed")
      throw new UsageError("ETAG_MISMATCH", "the image is not the one that If-Match names", { etag });
    if (found.kind === "unsatisfiable") {
      reply.header("content-range", `bytes */${image.sizeBytes}`);
      throw new UsageError("RANGE", `the image has ${image.sizeBytes} bytes`, { sizeBytes: image.sizeBytes });
    }
    const { start, end } = found.kind === "part" ? found : { start: 0, end: image.sizeBytes - 1 };
    if (found.kind === "part") reply.status(206).header("content-range", `bytes ${start}-${end}/${image.sizeBytes}`);
    reply.header("content-length", end - start + 1);
    if (request.method === "HEAD") return await reply.send();
    const stream = await stores.images.stream(image, start, end);
    const body = Readable.from(told(stream, start, onSent));
    // A client that has left already takes nothing, and then nobody else would close the file.
    body.once("close", () => stream.destroy());
    return await reply.send(body);
  }
}

/** Passes a stream on and tells how far it got, never ahead of what the client has taken. */
async function* told(stream: Readable, start: number, onSent: (offset: number) => void): AsyncGenerator<Buffer> {
  let offset = start;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    yield chunk;
    offset += chunk.length;
    onSent(offset);
  }
}

const oneOf = (header: string | string[] | undefined) => (Array.isArray(header) ? header.join(", ") : header);
