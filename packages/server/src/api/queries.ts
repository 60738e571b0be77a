/** Queries that several routes share. */
import { z } from "zod";

/** Where a page of a list starts, and how long it may be. */
export const PageQuery = z.object({
  cursor: z.string().max(1024).optional(),
  limit: z.coerce.number().int().min(1).max(1000).default(100),
});
