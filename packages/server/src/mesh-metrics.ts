/** What an operator watches of radio meshes: gateways, broadcasts, airtime, and what devices say. */
import { Counter, Gauge, type Registry } from "prom-client";
import type { Stores } from "./store/ports.ts";

/** Registers them; they are read when they are asked for. Whoever asks while the database is away is told everything else. */
export function describeMesh(metrics: Registry, { mesh }: Pick<Stores, "mesh">): void {
  const registers = [metrics];
  new Gauge({
    name: "airlift_gateways",
    help: "Radio gateways: online = heard within the last two minutes",
    labelNames: ["state"],
    registers,
    async collect() {
      this.reset();
      const gateways = await mesh.gateways.list().catch(() => undefined);
      if (gateways === undefined) return;
      const onlineCount = gateways.filter(({ isOnline }) => isOnline).length;
      this.set({ state: "online" }, onlineCount);
      this.set({ state: "away" }, gateways.length - onlineCount);
    },
  });
  new Gauge({
    name: "airlift_mesh_sessions",
    help: "Broadcasts that have not ended",
    registers,
    async collect() {
      const open = await mesh.sessions.open().catch(() => undefined);
      if (open !== undefined) this.set(open.length);
    },
  });
  describeAirtime(registers, mesh);
  new Gauge({
    name: "airlift_gateway_foreign_frames",
    help: "Frames that the gateway heard since it runs and could not open: of another network, damaged, or its network key is wrong",
    labelNames: ["gateway", "link"],
    registers,
    async collect() {
      this.reset();
      for (const { id, state } of (await mesh.gateways.list().catch(() => undefined)) ?? [])
        for (const { link, foreignCount = 0 } of state?.links ?? []) this.set({ gateway: id, link }, foreignCount);
    },
  });
  new Counter({
    name: "airlift_mesh_statuses_total",
    help: "Status events of mesh devices: taken, or refused because they were forged, replayed or of a device that nobody knows",
    labelNames: ["outcome"],
    registers,
    collect() {
      this.reset();
      const { takenCount, refusedCount } = mesh.reports.counts;
      this.inc({ outcome: "taken" }, takenCount);
      this.inc({ outcome: "refused" }, refusedCount);
    },
  });
}

function describeAirtime(registers: Registry[], mesh: Stores["mesh"]): void {
  const labelNames = ["gateway", "band"];
  const figures = [
    {
      name: "airlift_gateway_airtime_used_seconds",
      help: "Airtime in the sliding window of the law, as the gateway last said",
      of: (usedMs: number) => usedMs,
    },
    {
      name: "airlift_gateway_airtime_left_seconds",
      help: "What the law leaves of the window's budget, as the gateway last said",
      of: (usedMs: number, budgetMs: number) => Math.max(0, budgetMs - usedMs),
    },
  ];
  for (const { name, help, of } of figures)
    new Gauge({
      name,
      help,
      labelNames,
      registers,
      async collect() {
        this.reset();
        for (const { id, state } of (await mesh.gateways.list().catch(() => undefined)) ?? [])
          for (const { band, usedMs, budgetMs } of state?.ledgers ?? [])
            this.set({ gateway: id, band }, of(usedMs, budgetMs) / 1000);
      },
    });
}
