/**
 * Keeps the place of those who go by keyboard. What they were at may go: a command that was given, a row that ended, the
 * opener of a dialog. A browser leaves them at the top of the page then; they are brought to what follows instead.
 */
import { type RefObject, useEffect } from "react";

const FOCUSABLE = ["a[href]", "button", "input", "select", "textarea", '[tabindex="0"]']
  .map((selector) => `${selector}:not(:disabled)`)
  .join();

/** For the element around the page, which stays. */
export function useKeptFocus(page: RefObject<HTMLElement | null>): void {
  useEffect(() => (page.current === null ? undefined : keepFocus(page.current)), [page]);
}

/** As long as it is not stopped with what it returns. */
function keepFocus(page: HTMLElement): () => void {
  const stop = new AbortController();
  const { signal } = stop;
  let held: HTMLElement | undefined;
  let isSeen = false;
  page.addEventListener(
    "focusin",
    ({ target }) => {
      held = target instanceof HTMLElement ? target : undefined;
      isSeen = held?.matches(":focus-visible") === true;
    },
    { signal },
  );
  // Who leaves what stays has left it for nothing. What goes, or is disabled while it waits for an answer, left them.
  const leave = () => {
    if (isNowhere() && held?.isConnected === true && !held.matches(":disabled")) held = undefined;
  };
  page.addEventListener("focusout", () => queueMicrotask(leave), { signal });
  const observer = new MutationObserver((changes) => {
    if (held === undefined || !isNowhere()) return;
    const next = held.isConnected ? held : (whatFollows(held, changes) ?? headingOf(page));
    // Who uses a mouse looks elsewhere: nothing moves under it.
    next?.focus({ preventScroll: !isSeen });
  });
  observer.observe(page, { subtree: true, childList: true, attributeFilter: ["disabled"] });
  signal.addEventListener("abort", () => observer.disconnect());
  return () => stop.abort();
}

const isNowhere = (): boolean => document.activeElement === null || document.activeElement === document.body;

/** What stands in the place of what went, else what is beside it, else the list that it was in. */
function whatFollows(gone: HTMLElement, changes: readonly MutationRecord[]): HTMLElement | undefined {
  const top = gone.getRootNode();
  const change = changes.find(({ removedNodes }) => [...removedNodes].some((node) => node === top));
  if (!(change?.target instanceof HTMLElement) || !change.target.isConnected) return undefined;
  const { target, previousSibling } = change;
  // The rows of a grid come and go; it takes the keys for all of them.
  const grid = target.closest<HTMLElement>('[role="grid"]');
  if (grid) return grid;
  const siblings = [...target.children];
  const isAfter = (sibling: Element) =>
    previousSibling?.parentNode !== target ||
    (previousSibling.compareDocumentPosition(sibling) & Node.DOCUMENT_POSITION_FOLLOWING) !== 0;
  const nearest = [...siblings.filter(isAfter), ...siblings.filter((sibling) => !isAfter(sibling)).toReversed()];
  for (const sibling of nearest) {
    const found = sibling.matches(FOCUSABLE) ? sibling : sibling.querySelector(FOCUSABLE);
    if (found instanceof HTMLElement && found.checkVisibility()) return found;
  }
  return target.closest<HTMLElement>('[tabindex="0"]') ?? undefined;
}

/** Where the page begins. */
function headingOf(page: HTMLElement): HTMLElement | undefined {
  const heading = page.querySelector<HTMLElement>("main h2") ?? page.querySelector<HTMLElement>("main");
  heading?.setAttribute("tabindex", "-1");
  return heading ?? undefined;
}
