/** Security, object 0: how to reach a server and with which keys. For the bootstrap server alone, so without operations. */
import { defineObject } from "./definition.ts";

const V1_1 = { since: "1.1" } as const;
const V1_2 = { since: "1.2" } as const;
const U16_V1_2 = { range: "0..65535", since: "1.2" } as const;

const definition = defineObject(
  { id: 0, name: "LWM2M Security", versions: ["1.0", "1.1", "1.2"], flags: "*!" },
  {
    serverUri: [0, "LWM2M Server URI", "none!", "string", { range: "0..255" }],
    bootstrapServer: [1, "Bootstrap-Server", "none!", "boolean"],
    securityMode: [2, "Security Mode", "none!", "integer", { range: "0..4" }],
    publicKeyOrIdentity: [3, "Public Key or Identity", "none!", "opaque"],
    serverPublicKey: [4, "Server Public Key", "none!", "opaque"],
    secretKey: [5, "Secret Key", "none!", "opaque"],
    smsSecurityMode: [6, "SMS Security Mode", "none", "integer", { range: "0..255" }],
    smsBindingKeyParameters: [7, "SMS Binding Key Parameters", "none", "opaque", { range: "6" }],
    smsBindingSecretKeys: [8, "SMS Binding Secret Key(s)", "none", "opaque", { range: "16,32,48" }],
    serverSmsNumber: [9, "LwM2M Server SMS Number", "none", "string"],
    shortServerId: [10, "Short Server ID", "none", "integer", { range: "1..65534" }],
    clientHoldOffTime: [11, "Client Hold Off Time", "none", "integer", { units: "s" }],
    bootstrapTimeout: [12, "Bootstrap-Server Account Timeout", "none", "integer", { units: "s" }],
    matchingType: [13, "Matching Type", "none", "unsigned", { range: "0..3", since: "1.1" }],
    sni: [14, "SNI", "none", "string", V1_1],
    certificateUsage: [15, "Certificate Usage", "none", "unsigned", { range: "0..3", since: "1.1" }],
    ciphersuites: [16, "DTLS/TLS Ciphersuite", "none*", "unsigned", V1_1],
    oscoreSecurityMode: [17, "OSCORE Security Mode", "none", "objlnk", V1_1],
    groups: [18, "Groups To Use by Client", "none*", "unsigned", U16_V1_2],
    serverSignatureAlgorithms: [19, "Signature Algorithms Supported by Server", "none*", "unsigned", U16_V1_2],
    clientSignatureAlgorithms: [20, "Signature Algorithms To Use by Client", "none*", "unsigned", U16_V1_2],
    serverSignatureAlgorithmCerts: [21, "Signature Algorithm Certs Supported by Server", "none*", "unsigned", U16_V1_2],
    tls13Features: [22, "TLS 1.3 Features To Use by Client", "none", "unsigned", U16_V1_2],
    serverTlsExtensions: [23, "TLS Extensions Supported by Server", "none", "unsigned", U16_V1_2],
    clientTlsExtensions: [24, "TLS Extensions To Use by Client", "none", "unsigned", U16_V1_2],
    secondaryServerUri: [25, "Secondary LwM2M Server URI", "none*", "string", { range: "0..255", since: "1.2" }],
    mqttServer: [26, "MQTT Server", "none", "objlnk", V1_2],
    coseSecurity: [27, "LwM2M COSE Security", "none*", "objlnk", V1_2],
    rdsDestinationPort: [28, "RDS Destination Port", "none", "integer", { range: "0..15", since: "1.2" }],
    rdsSourcePort: [29, "RDS Source Port", "none", "integer", { range: "0..15", since: "1.2" }],
    rdsApplicationId: [30, "RDS Application ID", "none", "string", V1_2],
  },
);

export const SECURITY_ID = 0;
export const SECURITY_MODELS = definition.models;

/** Resource ids of object 0. */
export const SECURITY_RESOURCES = definition.ids;

/** Values of Security Mode. */
export const SECURITY_MODE_ON_WIRE = { psk: 0, rawPublicKey: 1, certificate: 2, none: 3, est: 4 } as const;
