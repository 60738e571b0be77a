/** Every question of the REST API in one table: what clients are typed by. A test holds it against the server's own OpenAPI document. */
import { z } from "zod";
import { AuditCut, AuditCutOutcome, AuditLine, AuditVerification } from "./audit.ts";
import {
  Campaign,
  CampaignEdit,
  CampaignPlan,
  CampaignPreview,
  CampaignRetry,
  CampaignSpec,
  CampaignSummary,
  CampaignTarget,
  RetriedCount,
  TargetPreview,
} from "./campaign.ts";
import {
  CertificateAuthority,
  CreatedCredential,
  CreatedToken,
  Credential,
  CredentialImport,
  CredentialRotation,
  ImportOutcome,
  MasterKeyRotation,
  NewAuthority,
  NewCredential,
  NewSession,
  NewToken,
  Session,
  SignInMethods,
  Token,
} from "./credentials.ts";
import { BatchAnswer, ReportBatch } from "./gateway.ts";
import {
  AirtimeSeries,
  BroadcastSection,
  CreatedGateway,
  Gateway,
  ManifestKey,
  MeshDevice,
  MeshGroup,
  MeshPlan,
  MeshSession,
  NewGateway,
  NewMeshDevice,
} from "./mesh.ts";
import {
  DeviceObjectList,
  DiscoverAnswer,
  DoneAnswer,
  LastValueList,
  NewAttributes,
  NewExecution,
  NewInstance,
  NewObservation,
  NewValue,
  NewValues,
  ObservationList,
  PathList,
  QueuedAnswer,
  ReadAnswer,
} from "./operations.ts";
import {
  AddedImage,
  Device,
  DeviceEdit,
  DeviceLines,
  DevicePreview,
  Event,
  Exchanges,
  Image,
  ImportAnswer,
  NewQueuedRequest,
  NewUpdate,
  NewUpload,
  pageOf,
  QueuedRequest,
  QueuedRequestId,
  Update,
  Upload,
} from "./schemas.ts";
import { ServerFacts, VersionStatistics } from "./statistics.ts";
import {
  CreatedWebhook,
  NewWebhook,
  Webhook,
  WebhookDelivery,
  WebhookEdit,
  WebhookReplay,
  WebhookReplayOutcome,
} from "./webhooks.ts";

/** One question. */
export interface Route {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Under `/api/v1`, parameters in braces; `{*}` is a path of its own. */
  readonly path: string;
  /** Names that may stand behind the question mark. */
  readonly query?: readonly string[];
  /** What is sent as JSON; "octets" = as it is; absent = nothing. */
  readonly body?: z.ZodType | "octets";
  /** What comes back as JSON; null = nothing; "events" = server-sent events; "octets" = a file as it is. */
  readonly answer: z.ZodType | null | "events" | "octets";
}

const page = ["cursor", "limit"] as const;
const patience = ["timeoutS", "queue"] as const;
const format = [...patience, "format"] as const;

export const ROUTES = {
  addImage: {
    method: "POST",
    path: "/images",
    query: ["manufacturer", "model", "version", "hardware"],
    body: "octets",
    answer: AddedImage,
  },
  listImages: { method: "GET", path: "/images", query: page, answer: pageOf(Image) },
  getImage: { method: "GET", path: "/images/{id}", answer: Image },
  beginUpload: { method: "POST", path: "/uploads", body: NewUpload, answer: Upload },
  getUpload: { method: "GET", path: "/uploads/{id}", answer: Upload },
  sendUploadPiece: { method: "PATCH", path: "/uploads/{id}", body: "octets", answer: Upload },
  finishUpload: { method: "POST", path: "/uploads/{id}/finish", answer: AddedImage },
  deleteUpload: { method: "DELETE", path: "/uploads/{id}", answer: null },

  listDevices: { method: "GET", path: "/devices", query: [...page, "query", "sort"], answer: pageOf(Device) },
  getDevice: { method: "GET", path: "/devices/{endpoint}", answer: Device },
  editDevice: { method: "PATCH", path: "/devices/{endpoint}", body: DeviceEdit, answer: Device },
  previewDevices: { method: "GET", path: "/device-preview", query: ["query"], answer: DevicePreview },
  importDevices: { method: "POST", path: "/device-import", body: DeviceLines, answer: ImportAnswer },
  listDeviceEvents: { method: "GET", path: "/devices/{endpoint}/events", query: page, answer: pageOf(Event) },

  readResource: {
    method: "GET",
    path: "/devices/{endpoint}/resources/{*}",
    query: format,
    answer: z.union([ReadAnswer, QueuedAnswer]),
  },
  replaceResource: {
    method: "PUT",
    path: "/devices/{endpoint}/resources/{*}",
    query: format,
    body: NewValue,
    answer: z.union([DoneAnswer, QueuedAnswer]),
  },
  updateResource: {
    method: "PATCH",
    path: "/devices/{endpoint}/resources/{*}",
    query: format,
    body: NewValue,
    answer: z.union([DoneAnswer, QueuedAnswer]),
  },
  deleteResource: {
    method: "DELETE",
    path: "/devices/{endpoint}/resources/{*}",
    query: patience,
    answer: z.union([DoneAnswer, QueuedAnswer]),
  },
  executeResource: {
    method: "POST",
    path: "/devices/{endpoint}/execute",
    query: patience,
    body: NewExecution,
    answer: z.union([DoneAnswer, QueuedAnswer]),
  },
  createInstance: {
    method: "POST",
    path: "/devices/{endpoint}/create",
    query: patience,
    body: NewInstance,
    answer: z.union([DoneAnswer, QueuedAnswer]),
  },
  writeAttributes: {
    method: "PUT",
    path: "/devices/{endpoint}/attributes",
    query: patience,
    body: NewAttributes,
    answer: z.union([DoneAnswer, QueuedAnswer]),
  },
  discover: {
    method: "GET",
    path: "/devices/{endpoint}/discover",
    query: [...patience, "path"],
    answer: z.union([DiscoverAnswer, QueuedAnswer]),
  },
  readComposite: {
    method: "POST",
    path: "/devices/{endpoint}/composite/read",
    query: format,
    body: PathList,
    answer: z.union([ReadAnswer, QueuedAnswer]),
  },
  writeComposite: {
    method: "POST",
    path: "/devices/{endpoint}/composite/write",
    query: format,
    body: NewValues,
    answer: z.union([DoneAnswer, QueuedAnswer]),
  },
  listValues: { method: "GET", path: "/devices/{endpoint}/values", answer: LastValueList },
  listObjects: { method: "GET", path: "/devices/{endpoint}/objects", answer: DeviceObjectList },
  listObservations: { method: "GET", path: "/devices/{endpoint}/observations", answer: ObservationList },
  observe: {
    method: "POST",
    path: "/devices/{endpoint}/observations",
    query: format,
    body: PathList,
    answer: NewObservation,
  },
  cancelObservation: { method: "DELETE", path: "/devices/{endpoint}/observations/{id}", answer: null },

  listQueue: { method: "GET", path: "/devices/{endpoint}/queue", answer: pageOf(QueuedRequest) },
  queueRequest: {
    method: "POST",
    path: "/devices/{endpoint}/queue",
    body: NewQueuedRequest,
    answer: QueuedRequestId,
  },
  cancelQueued: { method: "DELETE", path: "/devices/{endpoint}/queue/{id}", answer: null },

  listCredentials: { method: "GET", path: "/devices/{endpoint}/credentials", answer: pageOf(Credential) },
  addCredential: {
    method: "POST",
    path: "/devices/{endpoint}/credentials",
    body: NewCredential,
    answer: CreatedCredential,
  },
  rotateCredential: {
    method: "POST",
    path: "/devices/{endpoint}/credentials/rotate",
    body: CredentialRotation,
    answer: CreatedCredential,
  },
  endCredential: { method: "DELETE", path: "/devices/{endpoint}/credentials/{id}", answer: null },
  allowPlain: { method: "POST", path: "/devices/{endpoint}/allow-plain", answer: null },
  importCredentials: { method: "POST", path: "/credentials", body: CredentialImport, answer: ImportOutcome },
  rotateMasterKey: { method: "POST", path: "/master-key/rotate", answer: MasterKeyRotation },
  listAuthorities: { method: "GET", path: "/authorities", answer: pageOf(CertificateAuthority) },
  addAuthority: { method: "POST", path: "/authorities", body: NewAuthority, answer: CertificateAuthority },
  removeAuthority: { method: "DELETE", path: "/authorities/{fingerprint}", answer: null },

  listTokens: { method: "GET", path: "/tokens", query: page, answer: pageOf(Token) },
  createToken: { method: "POST", path: "/tokens", body: NewToken, answer: CreatedToken },
  revokeToken: { method: "DELETE", path: "/tokens/{id}", answer: Token },
  signIn: { method: "POST", path: "/session", body: NewSession, answer: Session },
  getSignInMethods: { method: "GET", path: "/session/methods", answer: SignInMethods },
  getSession: { method: "GET", path: "/session", answer: Session },
  signOut: { method: "DELETE", path: "/session", answer: null },

  listUpdates: {
    method: "GET",
    path: "/updates",
    query: [...page, "endpoint", "state", "imageId"],
    answer: pageOf(Update),
  },
  createUpdate: { method: "POST", path: "/updates", body: NewUpdate, answer: Update },
  getUpdate: { method: "GET", path: "/updates/{id}", answer: Update },
  listExchanges: { method: "GET", path: "/updates/{id}/exchanges", answer: Exchanges },
  retryUpdate: { method: "POST", path: "/updates/{id}/retry", answer: Update },
  applyUpdate: { method: "POST", path: "/updates/{id}/apply", answer: Update },
  cancelUpdate: { method: "POST", path: "/updates/{id}/cancel", answer: Update },

  listCampaigns: { method: "GET", path: "/campaigns", query: [...page, "state"], answer: pageOf(CampaignSummary) },
  createCampaign: { method: "POST", path: "/campaigns", body: CampaignSpec, answer: Campaign },
  getCampaign: { method: "GET", path: "/campaigns/{id}", answer: Campaign },
  editCampaign: { method: "PATCH", path: "/campaigns/{id}", body: CampaignEdit, answer: Campaign },
  deleteCampaign: { method: "DELETE", path: "/campaigns/{id}", answer: null },
  previewCampaign: { method: "POST", path: "/campaigns/preview", body: CampaignPreview, answer: TargetPreview },
  planCampaign: { method: "POST", path: "/campaigns/plan", body: CampaignSpec, answer: CampaignPlan },
  getCampaignPlan: { method: "GET", path: "/campaigns/{id}/plan", answer: CampaignPlan },
  listTargets: {
    method: "GET",
    path: "/campaigns/{id}/targets",
    query: [...page, "state", "wave"],
    answer: pageOf(CampaignTarget),
  },
  listCampaignEvents: { method: "GET", path: "/campaigns/{id}/events", query: page, answer: pageOf(Event) },
  submitCampaign: { method: "POST", path: "/campaigns/{id}/submit", answer: Campaign },
  approveCampaign: { method: "POST", path: "/campaigns/{id}/approve", answer: Campaign },
  rejectCampaign: { method: "POST", path: "/campaigns/{id}/reject", answer: Campaign },
  startCampaign: { method: "POST", path: "/campaigns/{id}/start", answer: Campaign },
  pauseCampaign: { method: "POST", path: "/campaigns/{id}/pause", answer: Campaign },
  resumeCampaign: { method: "POST", path: "/campaigns/{id}/resume", answer: Campaign },
  stopCampaign: { method: "POST", path: "/campaigns/{id}/stop", answer: Campaign },
  abortCampaign: { method: "POST", path: "/campaigns/{id}/abort", answer: Campaign },
  rollBackCampaign: { method: "POST", path: "/campaigns/{id}/rollback", answer: Campaign },
  retryCampaign: { method: "POST", path: "/campaigns/{id}/retry", body: CampaignRetry, answer: RetriedCount },

  listGateways: { method: "GET", path: "/gateways", answer: pageOf(Gateway) },
  addGateway: { method: "POST", path: "/gateways", body: NewGateway, answer: CreatedGateway },
  getGateway: { method: "GET", path: "/gateways/{id}", answer: Gateway },
  removeGateway: { method: "DELETE", path: "/gateways/{id}", answer: null },
  getAirtime: { method: "GET", path: "/gateways/{id}/airtime", query: ["hours"], answer: AirtimeSeries },
  followOrders: { method: "GET", path: "/gateways/{id}/orders", answer: "events" },
  getContent: { method: "GET", path: "/gateways/{id}/contents/{name}", answer: "octets" },
  report: { method: "POST", path: "/gateways/{id}/reports", body: ReportBatch, answer: BatchAnswer },
  listMeshDevices: { method: "GET", path: "/mesh/devices", query: page, answer: pageOf(MeshDevice) },
  getMeshDevice: { method: "GET", path: "/mesh/devices/{endpoint}", answer: MeshDevice },
  addMeshDevice: { method: "POST", path: "/mesh/devices", body: NewMeshDevice, answer: MeshDevice },
  listMeshGroups: { method: "GET", path: "/mesh/groups", answer: pageOf(MeshGroup) },
  rotateMeshGroup: { method: "POST", path: "/mesh/groups/{id}/rotate", answer: MeshGroup },
  listMeshSessions: {
    method: "GET",
    path: "/mesh/sessions",
    query: [...page, "campaignId"],
    answer: pageOf(MeshSession),
  },
  planBroadcast: {
    method: "GET",
    path: "/mesh/plan",
    query: ["campaignId", "imageId", "withinS"],
    answer: MeshPlan,
  },
  getManifestKey: { method: "GET", path: "/mesh/manifest-key", answer: ManifestKey },
  getBroadcast: { method: "GET", path: "/campaigns/{id}/broadcast", answer: BroadcastSection.nullable() },

  listAudit: { method: "GET", path: "/audit", query: [...page, "order"], answer: pageOf(AuditLine) },
  verifyAudit: { method: "GET", path: "/audit/verification", query: ["since"], answer: AuditVerification },
  cutAudit: { method: "POST", path: "/audit/cut", body: AuditCut, answer: AuditCutOutcome },
  listWebhooks: { method: "GET", path: "/webhooks", answer: pageOf(Webhook) },
  createWebhook: { method: "POST", path: "/webhooks", body: NewWebhook, answer: CreatedWebhook },
  getWebhook: { method: "GET", path: "/webhooks/{id}", answer: Webhook },
  editWebhook: { method: "PATCH", path: "/webhooks/{id}", body: WebhookEdit, answer: Webhook },
  deleteWebhook: { method: "DELETE", path: "/webhooks/{id}", answer: null },
  listDeliveries: {
    method: "GET",
    path: "/webhooks/{id}/deliveries",
    query: [...page, "state"],
    answer: pageOf(WebhookDelivery),
  },
  replayDeliveries: {
    method: "POST",
    path: "/webhooks/{id}/replay",
    body: WebhookReplay,
    answer: WebhookReplayOutcome,
  },
  testWebhook: { method: "POST", path: "/webhooks/{id}/test", answer: WebhookDelivery },

  getServer: { method: "GET", path: "/server", answer: ServerFacts },
  getVersionStatistics: { method: "GET", path: "/statistics/versions", query: ["days"], answer: VersionStatistics },

  followEvents: {
    method: "GET",
    path: "/events",
    query: ["endpoint", "updateId", "campaignId", "after"],
    answer: "events",
  },
} as const satisfies Readonly<Record<string, Route>>;

export type RouteName = keyof typeof ROUTES;

type ParameterNames<Path extends string> = Path extends `${string}{${infer Name}}${infer Rest}`
  ? Name | ParameterNames<Rest>
  : never;

type Parameters<Path extends string> = [ParameterNames<Path>] extends [never]
  ? { readonly params?: undefined }
  : { readonly params: Readonly<Record<ParameterNames<Path>, string>> };

type Query<Of> = Of extends { readonly query: readonly (infer Name extends string)[] }
  ? { readonly query?: Readonly<Partial<Record<Name, string | number | undefined>>> }
  : { readonly query?: undefined };

type Body<Of> = Of extends { readonly body: infer Schema }
  ? Schema extends z.ZodType
    ? { readonly body: z.input<Schema> }
    : { readonly body?: undefined }
  : { readonly body?: undefined };

/** What a question is asked with. */
export type Asked<Of extends Route> = Parameters<Of["path"]> & Query<Of> & Body<Of>;

/** What comes back; null when nothing does. */
export type Answered<Of extends Route> = Of["answer"] extends z.ZodType ? z.output<Of["answer"]> : null;

/** As any route may be asked. */
interface AskedAnything {
  readonly params?: Readonly<Record<string, string>> | undefined;
  readonly query?: Readonly<Record<string, string | number | undefined>> | undefined;
  readonly body?: unknown;
}

/** A question as HTTP has it. */
export interface RouteRequest {
  readonly method: Route["method"];
  /** With its query, beginning with a slash; to be put behind "https://HOST/api/v1". */
  readonly path: string;
  /** JSON. */
  readonly body: string | undefined;
}

/** Writes a question down. Octets and headers are the caller's to add. */
export function requestOf<Of extends Route>({ method, path }: Of, asked: Asked<Of>): RouteRequest {
  const { params = {}, query = {}, body }: AskedAnything = asked;
  const filled = path.replaceAll(/\{([^}]+)\}/g, (_, name: string) => segmentOf(name, params[name] ?? ""));
  const pairs = Object.entries(query).flatMap(([name, value]) =>
    value === undefined ? [] : [`${encodeURIComponent(name)}=${encodeURIComponent(value)}`],
  );
  return {
    method,
    path: pairs.length === 0 ? filled : `${filled}?${pairs.join("&")}`,
    body: body === undefined ? undefined : JSON.stringify(body),
  };
}

/** A name as one segment of a path, or for `{*}` as the segments that it has. */
function segmentOf(name: string, value: string): string {
  if (name !== "*") return encodeURIComponent(value);
  return value.split("/").map(encodeURIComponent).join("/");
}
