/** A row of links that is wider than a phone shows the one that is current. */
import { useRouterState } from "@tanstack/react-router";
import { type RefObject, useEffect, useRef } from "react";

/** Of the links beside it so much is seen that there is no doubt that there are some. */
const NEIGHBOUR_PX = 40;

/** For the element around the links; it is scrolled sideways only. */
export function useCurrentLinkInSight(): RefObject<HTMLElement | null> {
  const row = useRef<HTMLElement>(null);
  const address = useRouterState({ select: ({ location }) => location.href });
  // biome-ignore lint/correctness/useExhaustiveDependencies: another address has another current link
  useEffect(() => {
    if (!row.current) return undefined;
    show(row.current);
    // Which links there are depends on what the server answers.
    const links = new MutationObserver(() => row.current && show(row.current));
    links.observe(row.current, { childList: true });
    return () => links.disconnect();
  }, [address]);
  return row;
}

function show(row: HTMLElement): void {
  const link = row.querySelector<HTMLElement>('[aria-current="page"]');
  if (!link) return;
  const left = link.offsetLeft - row.offsetLeft;
  const [first, last] = [left - NEIGHBOUR_PX, left + link.offsetWidth + NEIGHBOUR_PX - row.clientWidth];
  row.scrollLeft = Math.max(last, Math.min(first, row.scrollLeft));
}
