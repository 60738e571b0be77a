/** What is wrong at a gateway by its own account, in words for whoever looks at it. */
import type { GatewayState } from "./gateway.ts";

export interface GatewayTrouble {
  readonly code: "LINK_DOWN" | "FOREIGN_FRAMES" | "REPORTS_REFUSED" | "FRAMES_LOST";
  /** Of what the gateway does or suffers: "hears frames …". */
  readonly sentence: string;
}

/** The worst first; none when all is well. */
export function gatewayTroubles({ links, setAside }: GatewayState): GatewayTrouble[] {
  const down = links
    .filter(({ isUp }) => !isUp)
    .map(({ link }): GatewayTrouble => ({ code: "LINK_DOWN", sentence: `finds its link not there: ${link}` }));
  const foreign = links.flatMap(({ link, heardCount, foreignCount, isMostlyForeign }): GatewayTrouble[] => {
    if (isMostlyForeign !== true) return [];
    const counts = `${foreignCount} of ${heardCount} at ${link}`;
    return [{ code: "FOREIGN_FRAMES", sentence: `hears frames it cannot open (wrong network key?): ${counts}` }];
  });
  const lost = links.flatMap(({ link, lostCount = 0 }): GatewayTrouble[] => {
    if (lostCount === 0) return [];
    return [
      { code: "FRAMES_LOST", sentence: `dropped ${lostCount} frames that the modem did not take in time: ${link}` },
    ];
  });
  const refused: GatewayTrouble[] =
    setAside === undefined
      ? []
      : [
          {
            code: "REPORTS_REFUSED",
            sentence: `set aside ${setAside.count} reports that the server refused, the latest because ${setAside.reason}`,
          },
        ];
  return [...down, ...foreign, ...refused, ...lost];
}
