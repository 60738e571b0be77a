/** An operation of LwM2M as it is asked for, before it is turned into a request. Paths may have names of the object models in them. */
import type {
  NewExecution,
  NewInstance,
  NewValue,
  NewValues,
  NotificationAttributes,
} from "@airlift/protocol/api/operations";
import type { QueuedOperation } from "./queued-request.ts";

/** What is asked; `operation` is the name under which it waits. */
export type OperationWish = { readonly operation: QueuedOperation } & WishContent;

export type WishContent =
  /** Read, of one path or of several. */
  | { readonly paths: readonly string[]; readonly format?: number | undefined }
  | { readonly values: NewValues; readonly format?: number | undefined }
  | {
      readonly path: string;
      readonly write: {
        readonly given: NewValue;
        readonly mode: "replace" | "update";
        readonly format?: number | undefined;
      };
    }
  | { readonly path: string; readonly execution: NewExecution }
  | { readonly path: string; readonly instance: Omit<NewInstance, "path"> }
  | { readonly path: string; readonly attributes: NotificationAttributes }
  /** Discover or Delete. */
  | { readonly path: string; readonly isDiscover: boolean };
