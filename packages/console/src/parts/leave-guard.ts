/** Nobody loses by a click what they have written and not saved: they are asked first. */
import { useBlocker } from "@tanstack/react-router";
import { useEffect } from "react";

const WORDS = "Leave the page, and what you have changed?";

/** One for each form on the page that holds something unsaved. */
const unsaved = new Set<object>();

/** Asks before the page is left by a link, by the browser, or by signing out, as long as `isUnsaved`. */
export function useLeaveGuard(isUnsaved: boolean): void {
  useEffect(() => {
    if (!isUnsaved) return undefined;
    const form = {};
    unsaved.add(form);
    return () => void unsaved.delete(form);
  }, [isUnsaved]);
  useBlocker({
    shouldBlockFn: ({ current, next }) => isUnsaved && addressOf(current) !== addressOf(next) && !window.confirm(WORDS),
    enableBeforeUnload: () => isUnsaved,
  });
}

/** True when nothing is unsaved, or may be lost. */
export const mayLeave = (): boolean => unsaved.size === 0 || window.confirm(WORDS);

/** A place within a page is the same page. */
const addressOf = ({ pathname, search }: { readonly pathname: string; readonly search: unknown }): string =>
  `${pathname} ${JSON.stringify(search)}`;
