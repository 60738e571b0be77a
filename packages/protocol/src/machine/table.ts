/** One arrow of a state machine: the state it leads to and what the owner must do on the way. */
export interface Arrow<State extends string, Action extends string, Extra = unknown> {
  readonly to: State;
  readonly actions: readonly Action[];
  readonly extra: Extra;
}

/** All arrows of a machine, by state and event. A pair that is absent is not allowed. */
export type Table<State extends string, Event extends string, Action extends string, Extra = unknown> = {
  readonly [S in State]: { readonly [E in Event]?: Arrow<State, Action, Extra> };
};

/** Every state that can be reached from `start`: the base of the "no dead state" test. */
export function reachable<S extends string, E extends string>(table: Table<S, E, string>, start: S): Set<S> {
  const seen = new Set<S>([start]);
  for (const state of seen) {
    for (const arrow of Object.values<Arrow<S, string> | undefined>(table[state])) if (arrow) seen.add(arrow.to);
  }
  return seen;
}

/** The machine as a Mermaid state diagram, so that the documentation is drawn from the code. */
export function toMermaid<S extends string, E extends string>(table: Table<S, E, string>): string {
  const lines = ["stateDiagram-v2"];
  for (const [from, arrows] of Object.entries<Record<string, Arrow<S, string> | undefined>>(table)) {
    for (const [event, arrow] of Object.entries(arrows)) {
      if (arrow)
        lines.push(
          `  ${from} --> ${arrow.to}: ${event}${arrow.actions.length ? ` / ${arrow.actions.join(", ")}` : ""}`,
        );
    }
  }
  return lines.join("\n");
}
