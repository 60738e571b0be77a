/** The SDK's public door: an update agent, what it needs from an integrator, and slots and keys for those who have a file system. */
export { createUpdateAgent, type UpdateAgent } from "./agent.ts";
export {
  type AgentEvent,
  DEFAULT_AGENT_LIFETIME_S,
  DEFAULT_TRIAL_TIMEOUT_MS,
  type SlotSet,
  type UpdateAgentOptions,
} from "./agent-options.ts";
export type { BootstrapOptions, CredentialStore, StoredConfiguration } from "./bootstrap-options.ts";
export type {
  Component,
  ComponentHandlers,
  ComponentOptions,
  ComponentOrder,
  ComponentTable,
  ReceivedPackage,
} from "./component-ports.ts";
export type { ServerCredentials } from "./credentials.ts";
export type { InitialState } from "./initial-state.ts";
export { createCredentialFile } from "./node/credential-file.ts";
export { createSlots, type Slots, type SlotsOptions } from "./node/slots.ts";
export type { DeviceIdentity } from "./objects/device-object.ts";
export type { DeliveryMethods } from "./objects/firmware-object.ts";
export {
  type DownloadOrigin,
  HandlerError,
  type HandlerFailure,
  type PersistedUpdate,
  type UpdateHandlers,
  type UpdateNotes,
  type UpdateStore,
  type UpgradeOrder,
  type UpgradeProgress,
} from "./ports.ts";
export { DEFAULT_REGISTRATION_RETRY, type RetryPolicy } from "./session/registration.ts";
export type {
  PersistedSoftware,
  Software,
  SoftwareHandlers,
  SoftwareOptions,
  SoftwareStore,
  SoftwareTable,
} from "./software-ports.ts";
export { DEFAULT_PULL_POLICY, type PullPolicy } from "./transfer/pull.ts";
