/** How a radio loses packets: each on its own, or in bursts, and not all devices alike. */
import type { Random } from "@airlift/protocol/lib/core";

/** Whether the next packet is lost. One for each receiver, asked once for each packet on air. */
export type Channel = () => boolean;

export type LossModel =
  | { readonly kind: "independent"; readonly loss: number }
  /** Gilbert–Elliott: in the bad state all is lost, in the good one nothing; `burst` packets are lost in a row in the mean. */
  | { readonly kind: "bursty"; readonly loss: number; readonly burst: number }
  /** Every device has a loss of its own, evenly between the two. */
  | { readonly kind: "heterogeneous"; readonly least: number; readonly most: number };

/** The loss in the mean over all devices. */
export const meanLoss = (model: LossModel): number =>
  model.kind === "heterogeneous" ? (model.least + model.most) / 2 : model.loss;

/** What a sender plans for that knows the model: the worst device's loss. */
export const plannedLoss = (model: LossModel): number => (model.kind === "heterogeneous" ? model.most : model.loss);

/** How much more the number of lost packets varies than with independent losses. */
export function clumpingOf(model: LossModel): number {
  if (model.kind !== "bursty") return 1;
  const { fromGood, fromBad } = transitions(model);
  const memory = 1 - fromGood - fromBad;
  return (1 + memory) / (1 - memory);
}

export function openChannel(model: LossModel, random: Random): Channel {
  switch (model.kind) {
    case "independent":
      return () => random() < model.loss;
    case "heterogeneous": {
      const loss = model.least + (model.most - model.least) * random();
      return () => random() < loss;
    }
    case "bursty": {
      const { fromGood, fromBad } = transitions(model);
      let isBad = random() < model.loss;
      return () => {
        isBad = isBad ? random() >= fromBad : random() < fromGood;
        return isBad;
      };
    }
  }
}

function transitions({ loss, burst }: { readonly loss: number; readonly burst: number }): {
  readonly fromGood: number;
  readonly fromBad: number;
} {
  const fromBad = 1 / burst;
  return { fromBad, fromGood: (fromBad * loss) / (1 - loss) };
}
