/** Server, object 1: lifetime, notification defaults and triggers of one registration. */
import { defineObject } from "./definition.ts";

const V1_1 = { since: "1.1" } as const;
const V1_2 = { since: "1.2" } as const;
const SECONDS = { units: "s" } as const;
const SECONDS_V1_1 = { units: "s", since: "1.1" } as const;

const definition = defineObject(
  { id: 1, name: "LwM2M Server", versions: ["1.0", "1.1", "1.2"], flags: "*!" },
  {
    shortServerId: [0, "Short Server ID", "R!", "integer", { range: "1..65534" }],
    lifetime: [1, "Lifetime", "RW!", "unsigned", SECONDS],
    defaultMinimumPeriod: [2, "Default Minimum Period", "RW", "integer", SECONDS],
    defaultMaximumPeriod: [3, "Default Maximum Period", "RW", "integer", SECONDS],
    disable: [4, "Disable", "E", "none"],
    disableTimeout: [5, "Disable Timeout", "RW", "integer", SECONDS],
    notificationStoring: [6, "Notification Storing When Disabled or Offline", "RW!", "boolean"],
    binding: [7, "Binding", "RW!", "string"],
    registrationUpdateTrigger: [8, "Registration Update Trigger", "E!", "none"],
    bootstrapRequestTrigger: [9, "Bootstrap-Request Trigger", "E", "none", V1_1],
    apnLink: [10, "APN Link", "RW", "objlnk", V1_1],
    tlsAlertCode: [11, "TLS-DTLS Alert Code", "R", "unsigned", { range: "0..255", since: "1.1" }],
    lastBootstrapped: [12, "Last Bootstrapped", "R", "time", V1_1],
    registrationPriorityOrder: [13, "Registration Priority Order", "R", "unsigned", V1_1],
    initialRegistrationDelay: [14, "Initial Registration Delay Timer", "RW", "unsigned", SECONDS_V1_1],
    registrationFailureBlock: [15, "Registration Failure Block", "R", "boolean", V1_1],
    bootstrapOnFailure: [16, "Bootstrap on Registration Failure", "R", "boolean", V1_1],
    retryCount: [17, "Communication Retry Count", "RW", "unsigned", V1_1],
    retryTimer: [18, "Communication Retry Timer", "RW", "unsigned", SECONDS_V1_1],
    sequenceDelayTimer: [19, "Communication Sequence Delay Timer", "RW", "unsigned", SECONDS_V1_1],
    sequenceRetryCount: [20, "Communication Sequence Retry Count", "RW", "unsigned", V1_1],
    trigger: [21, "Trigger", "RW", "boolean", V1_1],
    preferredTransport: [22, "Preferred Transport", "RW", "string", V1_1],
    muteSend: [23, "Mute Send", "RW", "boolean", V1_1],
    alternateApnLinks: [24, "Alternate APN Links", "RW*", "objlnk", V1_2],
    supportedServerVersions: [25, "Supported Server Versions", "RW*", "string", V1_2],
    defaultNotificationMode: [26, "Default Notification Mode", "RW", "integer", { range: "0..1", since: "1.2" }],
    profileIdHashAlgorithm: [27, "Profile ID Hash Algorithm", "RW", "unsigned", { range: "0..255", since: "1.2" }],
  },
);

export const SERVER_ID = 1;
export const SERVER_MODELS = definition.models;

/** Resource ids of object 1. */
export const SERVER_RESOURCES = definition.ids;
