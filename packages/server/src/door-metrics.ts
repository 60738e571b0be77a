/** The doors' figures for Prometheus. */
import { Counter, Gauge, type Registry } from "prom-client";
import type { DoorLoad } from "./links/door.ts";
import type { Lwm2mServer } from "./links/lwm2m-server.ts";

type Figure = Exclude<keyof DoorLoad, "transport">;

const GAUGES: readonly (readonly [name: string, help: string, figure: Figure])[] = [
  ["airlift_door_sessions", "DTLS sessions, or connections over TCP and TLS, by transport", "sessions"],
  ["airlift_door_handshakes", "Handshakes under way; a flood shows here first, and is bounded", "handshakes"],
  ["airlift_door_resumable_sessions", "DTLS sessions that can be resumed", "resumable"],
];

const COUNTERS: readonly (readonly [name: string, help: string, figure: Figure])[] = [
  ["airlift_door_dropped_records_total", "DTLS records that were malformed, replayed or forged", "droppedRecordCount"],
  ["airlift_door_cookies_total", "DTLS hellos that were answered by a cookie and nothing else", "cookieCount"],
  ["airlift_door_crowded_handshakes_total", "Handshakes not begun: their host had too many", "refusedHandshakeCount"],
  ["airlift_door_refused_requests_total", "Requests answered 4.29: their peer floods", "refusedRequestCount"],
  ["airlift_door_dropped_messages_total", "Messages dropped unread: their peer floods", "droppedMessageCount"],
];

/** Registers them; they are read when they are asked for. */
export function describeDoors(metrics: Registry, lwm2m: Pick<Lwm2mServer, "doorLoads" | "refusalCounts">): void {
  const registers = [metrics];
  const labelNames = ["transport"];
  for (const [name, help, figure] of GAUGES)
    new Gauge({
      name,
      help,
      labelNames,
      registers,
      collect() {
        this.reset();
        for (const [transport, sum] of sums(lwm2m.doorLoads(), figure)) this.set({ transport }, sum);
      },
    });
  for (const [name, help, figure] of COUNTERS)
    new Counter({
      name,
      help,
      labelNames,
      registers,
      collect() {
        this.reset();
        for (const [transport, sum] of sums(lwm2m.doorLoads(), figure)) this.inc({ transport }, sum);
      },
    });
  new Counter({
    name: "airlift_refused_total",
    help: "Handshakes and registrations that were refused, by transport and reason",
    labelNames: ["transport", "code"],
    registers,
    collect() {
      this.reset();
      for (const { transport, code, count } of lwm2m.refusalCounts()) this.inc({ transport, code }, count);
    },
  });
}

function sums(loads: readonly DoorLoad[], figure: Figure): Map<string, number> {
  const found = new Map<string, number>();
  for (const load of loads) {
    const value = load[figure];
    if (value !== undefined) found.set(load.transport, (found.get(load.transport) ?? 0) + value);
  }
  return found;
}
