/** The code of a page, fetched when it is first opened. */
import { type AsyncRouteComponent, lazyRouteComponent } from "@tanstack/react-router";
import { ask, isUnanswered } from "../api/request.ts";

/** How often a server that is away is asked whether it is there again. */
const RETRY_MS = 2000;

/**
 * @param load Imports the module of the page.
 * @param name What the module calls it.
 */
export function fetchedPage<Name extends string>(
  load: () => Promise<Readonly<Record<Name, () => React.ReactNode>>>,
  name: Name,
): AsyncRouteComponent<unknown> {
  // What fails once the server is there was built anew meanwhile: for that the router loads the whole page afresh, which
  // would leave nothing of it while the server is away.
  const fetched = () => load().catch(() => untilAnswered().then(load));
  return lazyRouteComponent(fetched, name);
}

async function untilAnswered(): Promise<void> {
  while (await ask("session").then(() => false, isUnanswered))
    await new Promise((again) => setTimeout(again, RETRY_MS));
}
