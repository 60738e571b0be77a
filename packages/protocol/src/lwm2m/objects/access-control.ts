/** Access Control, object 2: which server may do what to one object instance. */
import { defineObject } from "./definition.ts";

const definition = defineObject(
  { id: 2, name: "LwM2M Access Control", versions: ["1.0", "1.1"], flags: "*" },
  {
    objectId: [0, "Object ID", "R!", "integer", { range: "1..65534" }],
    objectInstanceId: [1, "Object Instance ID", "R!", "integer", { range: "0..65535" }],
    acl: [2, "ACL", "RW*", "integer", { range: "0..31" }],
    owner: [3, "Access Control Owner", "RW!", "integer", { range: "0..65535" }],
  },
);

export const ACCESS_CONTROL_ID = 2;
export const ACCESS_CONTROL_MODELS = definition.models;

/** Resource ids of object 2. */
export const ACCESS_CONTROL_RESOURCES = definition.ids;
