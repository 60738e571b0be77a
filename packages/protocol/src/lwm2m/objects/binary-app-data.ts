/** BinaryAppDataContainer, object 19: octets that mean something to an application alone. */
import { defineObject } from "./definition.ts";

const definition = defineObject(
  { id: 19, name: "BinaryAppDataContainer", versions: ["1.0"], flags: "*" },
  {
    data: [0, "Data", "RW*!", "opaque"],
    priority: [1, "Data Priority", "RW", "integer", { range: "1 bytes" }],
    creationTime: [2, "Data Creation Time", "RW", "time"],
    description: [3, "Data Description", "RW", "string", { range: "32 bytes" }],
    format: [4, "Data Format", "RW", "string", { range: "32 bytes" }],
    applicationId: [5, "App ID", "RW", "integer", { range: "2 bytes" }],
  },
);

export const BINARY_APP_DATA_ID = 19;
export const BINARY_APP_DATA_MODELS = definition.models;

/** Resource ids of object 19. */
export const BINARY_APP_DATA_RESOURCES = definition.ids;
