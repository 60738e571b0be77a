/** /metrics: what an operator watches, in Prometheus' text format. */
import type { FastifyInstance } from "fastify";
import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import type { Stores } from "../store/ports.ts";

export interface MetricSources {
  readonly stores: Pick<Stores, "events" | "remarks" | "audit" | "webhooks">;
  /** Clients that listen to events now. */
  listenerCount(): number;
}

/** Registers the API's own figures in `registry`, which others may add to, and serves all of it. */
export function serveMetrics(app: FastifyInstance, registry: Registry, sources: MetricSources): void {
  const registers = [registry];
  const requests = new Histogram({
    name: "airlift_http_request_seconds",
    help: "Duration of HTTP requests by method, route and status",
    labelNames: ["method", "route", "status"],
    buckets: [0.005, 0.02, 0.1, 0.5, 2, 10],
    registers,
  });
  const events = new Counter({
    name: "airlift_events_total",
    help: "Events since the start, by kind: devices that came and went, images added, updates that changed",
    labelNames: ["kind"],
    registers,
  });
  const updates = new Counter({
    name: "airlift_update_transitions_total",
    help: "Updates that came into a state since the start; the rate of failed is what to alert on",
    labelNames: ["state"],
    registers,
  });
  new Gauge({
    name: "airlift_event_listeners",
    help: "Clients that listen to /api/v1/events now",
    registers,
    collect() {
      this.set(sources.listenerCount());
    },
  });
  new Counter({
    name: "airlift_event_listener_failures_total",
    help: "Events that a part of this server could not take in, since the start; each is a mistake of the server and in its log",
    registers,
    collect() {
      this.reset();
      this.inc(sources.stores.events.listenerFailureCount);
    },
  });
  new Counter({
    name: "airlift_events_lost_total",
    help: "Events that were never stored, since the start: too many waited while the database was away, or it refused them",
    registers,
    collect() {
      this.reset();
      this.inc(sources.stores.remarks.lostCount);
    },
  });
  describeRecords(registers, sources.stores);
  const unsubscribe = sources.stores.events.subscribe((event) => {
    events.inc({ kind: event.kind });
    if (event.kind === "update.transition") updates.inc({ state: `${event.facts["state"]}` });
  });
  app.addHook("onClose", async () => unsubscribe());
  app.addHook("onResponse", async (request, reply) => {
    // The route's pattern, not the path: a label for every device would never end.
    const labels = { method: request.method, route: request.routeOptions.url ?? "none", status: reply.statusCode };
    requests.observe(labels, reply.elapsedTime / 1000);
  });
  app.get("/metrics", { schema: { hide: true } }, async (_, reply) => {
    reply.header("content-type", registry.contentType);
    return await registry.metrics();
  });
}

function describeRecords(registers: Registry[], { audit, webhooks }: MetricSources["stores"]): void {
  new Gauge({
    name: "airlift_audit_waiting",
    help: "Lines of the audit log that are not in the database yet; changes are refused when they are too many",
    registers,
    collect() {
      this.set(audit.waitingRows);
    },
  });
  new Gauge({
    name: "airlift_webhook_deliveries",
    help: "Deliveries to webhooks that wait, or were given up (dead) and not replayed; dead ones are what to alert on",
    labelNames: ["state"],
    registers,
    async collect() {
      // Whoever asks while the database is away is told everything else.
      const backlog = await webhooks.backlog().catch(() => undefined);
      this.reset();
      if (backlog === undefined) return;
      this.set({ state: "waiting" }, backlog.waiting);
      this.set({ state: "dead" }, backlog.dead);
    },
  });
}
