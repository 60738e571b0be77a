/** Location, object 6: where the device is. Id 7 is a hole. */
import { defineObject } from "./definition.ts";

const V1_1 = { since: "1.1" } as const;

const definition = defineObject(
  { id: 6, name: "Location", versions: ["1.0", "1.1"], flags: "" },
  {
    latitude: [0, "Latitude", "RW!", "float", { units: "lat" }],
    longitude: [1, "Longitude", "RW!", "float", { units: "lon" }],
    altitude: [2, "Altitude", "RW", "float", { units: "m" }],
    radius: [3, "Radius", "R", "float", { units: "m" }],
    velocity: [4, "Velocity", "R", "opaque"],
    timestamp: [5, "Timestamp", "R!", "time"],
    speed: [6, "Speed", "R", "float", { units: "m/s" }],
    expectedLatitude: [8, "Expected Latitude", "RW", "float", { units: "lat", ...V1_1 }],
    expectedLongitude: [9, "Expected Longitude", "RW", "float", { units: "lon", ...V1_1 }],
    expectedAltitude: [10, "Expected Altitude", "RW", "float", { units: "m", ...V1_1 }],
    changeThreshold: [11, "Location Change Threshold", "RW", "float", { units: "m", ...V1_1 }],
    changed: [12, "Location Changed", "R", "boolean", V1_1],
  },
);

export const LOCATION_ID = 6;
export const LOCATION_MODELS = definition.models;

/** Resource ids of object 6. */
export const LOCATION_RESOURCES = definition.ids;
