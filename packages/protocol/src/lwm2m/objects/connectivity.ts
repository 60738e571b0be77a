/** Connectivity Monitoring and Connectivity Statistics, objects 4 and 7: the state and the use of the link. */
import { defineObject } from "./definition.ts";

const monitoring = defineObject(
  { id: 4, name: "Connectivity Monitoring", versions: ["1.0", "1.1", "1.2", "1.3"], flags: "" },
  {
    networkBearer: [0, "Network Bearer", "R!", "integer", { range: "0..50" }],
    availableNetworkBearer: [1, "Available Network Bearer", "R*!", "integer", { range: "0..50" }],
    radioSignalStrength: [2, "Radio Signal Strength", "R!", "integer"],
    linkQuality: [3, "Link Quality", "R", "integer"],
    ipAddresses: [4, "IP Addresses", "R*!", "string"],
    routerIpAddresses: [5, "Router IP Addresses", "R*", "string"],
    linkUtilization: [6, "Link Utilization", "R", "integer", { range: "0..100", units: "/100" }],
    apn: [7, "APN", "R*", "string"],
    cellId: [8, "Cell ID", "R", "integer"],
    smnc: [9, "SMNC", "R", "integer", { range: "0..999" }],
    smcc: [10, "SMCC", "R", "integer", { range: "0..999" }],
    signalSnr: [11, "SignalSNR", "R", "integer", { units: "dB", since: "1.1" }],
    lac: [12, "LAC", "R", "integer", { since: "1.2" }],
    coverageEnhancementLevel: [13, "Coverage Enhancement Level", "R", "integer", { range: "0..4", since: "1.3" }],
  },
);

const statistics = defineObject(
  { id: 7, name: "Connectivity Statistics", versions: ["1.0"], flags: "" },
  {
    smsTxCounter: [0, "SMS Tx Counter", "R", "integer"],
    smsRxCounter: [1, "SMS Rx Counter", "R", "integer"],
    txData: [2, "Tx Data", "R", "integer"],
    rxData: [3, "Rx Data", "R", "integer"],
    maxMessageSize: [4, "Max Message Size", "R", "integer", { units: "B" }],
    averageMessageSize: [5, "Average Message Size", "R", "integer", { units: "B" }],
    start: [6, "Start", "E!", "none"],
    stop: [7, "Stop", "E!", "none"],
    collectionPeriod: [8, "Collection Period", "RW", "integer", { units: "s" }],
  },
);

export const CONNECTIVITY_MONITORING_ID = 4;
export const CONNECTIVITY_STATISTICS_ID = 7;
export const CONNECTIVITY_MODELS = [...monitoring.models, ...statistics.models];

/** Resource ids of object 4. */
export const CONNECTIVITY_MONITORING_RESOURCES = monitoring.ids;

/** Resource ids of object 7. */
export const CONNECTIVITY_STATISTICS_RESOURCES = statistics.ids;
