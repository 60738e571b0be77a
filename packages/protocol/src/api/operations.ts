/** What is asked of a registered device through the REST API, and what it answers. */
import { z } from "zod";
import { Event } from "./schemas.ts";

/** "/3/0/1", or with names of the object models: "/Device/0/Model Number". */
const path = z.string().min(1).max(512);

/** How many paths one request may name. */
const paths = z.array(path).min(1).max(64);

/**
 * A value by its type in the object model: integers beyond ±(2⁵³−1) as decimal strings, times in ISO 8601 or seconds since
 * 1970, octets in base64, object links "3:0"; a multiple resource or an instance is an object of values by number or name.
 */
const value = z.unknown();

/** How long the device may take, in seconds. */
export const OperationQuery = z.object({
  timeoutS: z.coerce.number().int().min(1).max(110).default(30),
  /** "true": on record and answered with 202 at once; asked as soon as the device is awake. */
  queue: z.enum(["true", "false"]).default("false"),
});

/** An operation that is on record; what came of it is in the device's queue under this id. */
export const QueuedAnswer = z.object({ id: z.string() });
export type QueuedAnswer = z.infer<typeof QueuedAnswer>;

/** Also of writes, which may name the format of their values. */
export const ReadQuery = OperationQuery.extend({
  /** Content format by its number, instead of the one that suits the device. */
  format: z.coerce.number().int().min(0).max(65_535).optional(),
});

/** One value of a device. */
export const DeviceValue = z.object({
  /** Of the resource or resource instance, in numbers. */
  path: z.string(),
  /** Its name in the object model, null for a resource that no model knows. */
  name: z.string().nullable(),
  type: z.string(),
  /** Of measurement, as the model writes it; null = none. */
  unit: z.string().nullable(),
  value: z.union([z.string(), z.number(), z.boolean()]),
  /** When it was measured, where the device says so. */
  measuredAt: z.iso.datetime({ precision: 3 }).nullable(),
});
export type DeviceValue = z.infer<typeof DeviceValue>;

/** The answer to a Read or an Observe. */
export const ReadAnswer = z.object({
  /** The device's response code, "2.05". */
  code: z.string(),
  /** Content format of the device's answer. */
  format: z.int(),
  values: z.array(DeviceValue),
});
export type ReadAnswer = z.infer<typeof ReadAnswer>;

/** The answer to an operation that returns no values. */
export const DoneAnswer = z.object({
  code: z.string(),
  /** The new instance that the device named, after a Create. */
  created: z.string().nullable(),
});
export type DoneAnswer = z.infer<typeof DoneAnswer>;

/** Whether every value is a text as a person types it, "true" or "2.5", whatever its type in the object model. */
const typed = z.boolean().default(false);

/** A value for one path. */
export const NewValue = z.strictObject({ value, typed });
export type NewValue = z.input<typeof NewValue>;

export const NewExecution = z.strictObject({
  path,
  /** Arguments by digit; null = without a value. */
  arguments: z.record(z.string().regex(/^[0-9]$/), z.string().max(1024).nullable()).default({}),
});
export type NewExecution = z.input<typeof NewExecution>;

/** A new instance of an object: its number, or null = the device chooses; and its values by number or name. */
export const NewInstance = z.strictObject({
  path,
  values: z.record(z.string(), value).default({}),
  typed,
});
export type NewInstance = z.input<typeof NewInstance>;

/** Notification attributes; null removes one. Names and ranges: LwM2M Core 1.2 §5.1.2. */
export const NotificationAttributes = z.strictObject({
  pmin: z.int().min(0).nullable().optional(),
  pmax: z.int().min(0).nullable().optional(),
  gt: z.number().nullable().optional(),
  lt: z.number().nullable().optional(),
  st: z.number().positive().nullable().optional(),
  epmin: z.int().min(0).nullable().optional(),
  epmax: z.int().min(0).nullable().optional(),
  edge: z.int().min(0).max(1).nullable().optional(),
  con: z.int().min(0).max(1).nullable().optional(),
  hqmax: z.int().min(0).nullable().optional(),
});
export type NotificationAttributes = z.infer<typeof NotificationAttributes>;

export const NewAttributes = z.strictObject({ path, attributes: NotificationAttributes });
export type NewAttributes = z.infer<typeof NewAttributes>;

export const DiscoverQuery = OperationQuery.extend({ path });

/** One place that a device discovered. */
export const DiscoveredPlace = z.object({
  path: z.string(),
  name: z.string().nullable(),
  version: z.string().nullable(),
  instanceCount: z.int().nullable(),
  attributes: z.record(z.string(), z.number()),
});
export type DiscoveredPlace = z.infer<typeof DiscoveredPlace>;

export const DiscoverAnswer = z.object({ items: z.array(DiscoveredPlace) });
export type DiscoverAnswer = z.infer<typeof DiscoverAnswer>;

export const PathList = z.strictObject({ paths });
export type PathList = z.infer<typeof PathList>;

/** Values by path. */
export const NewValues = z.strictObject({ values: z.record(path, value), typed });
export type NewValues = z.input<typeof NewValues>;

/** An observation that the server keeps. Several paths are observed as one (composite, LwM2M 1.1 and later). */
export const Observation = z.object({
  id: z.string(),
  endpoint: z.string(),
  paths: z.array(z.string()),
  /** `waiting`: for the device to register again, or to be heard after a restart of the server. */
  state: z.enum(["active", "waiting"]),
  notificationCount: z.int().nonnegative(),
  /** Notifications that came faster than they are taken. */
  droppedCount: z.int().nonnegative(),
  /** When the last notification came; null = none since the server was started or the device came to it, and its value is not known. */
  lastToldAt: z.iso.datetime({ precision: 3 }).nullable(),
});
export type Observation = z.infer<typeof Observation>;

export const NewObservation = z.object({ observation: Observation, answer: ReadAnswer });
export type NewObservation = z.infer<typeof NewObservation>;

export const ObservationList = z.object({ items: z.array(Observation) });

/** What a device told last, by Read, notification or Send. */
export const LastValue = DeviceValue.extend({
  receivedAt: z.iso.datetime({ precision: 3 }),
  by: z.enum(["read", "notify", "send"]),
});
export type LastValue = z.infer<typeof LastValue>;

export const LastValueList = z.object({
  /** Since when what the device tells is kept: what it told before is not known. */
  since: z.iso.datetime({ precision: 3 }),
  items: z.array(LastValue),
});
export type LastValues = z.infer<typeof LastValueList>;

/** One object of a registered device. */
export const DeviceObject = z.object({
  id: z.int(),
  name: z.string().nullable(),
  version: z.string(),
  /** Who says so: the registration, or the device's version of LwM2M. */
  versionFrom: z.enum(["device", "lwm2m"]),
  instances: z.array(z.int()),
});
export type DeviceObject = z.infer<typeof DeviceObject>;

export const DeviceObjectList = z.object({ items: z.array(DeviceObject) });

/** An event of kind `device.value`, as the live feed brings it. */
export const ValueEvent = Event.extend({
  facts: z.object({ by: LastValue.shape.by, observationId: z.string().nullable(), values: z.array(DeviceValue) }),
});
export type ValueEvent = z.infer<typeof ValueEvent>;
