/** Keys for those who leave the mouse alone. */
import { useNavigate } from "@tanstack/react-router";
import { useEffect } from "react";
import { useCovered } from "../parts/covered.ts";
import { PLACES } from "./places.ts";

/** After "g" the second key has to follow within this. */
const PATIENCE_MS = 1500;

/** `g` and a letter go to a page, `/` to the page's search, `?` asks for help; while the page is covered they do nothing. */
export function useShortcuts(onHelp: () => void): void {
  const navigate = useNavigate();
  const isCovered = useCovered();
  useEffect(() => {
    if (isCovered) return undefined;
    let goUntilMs = 0;
    const onKey = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || isWriting(event.target) || isInDialog()) return;
      const place = performance.now() < goUntilMs && PLACES.find(({ key }) => key === event.key);
      goUntilMs = event.key === "g" ? performance.now() + PATIENCE_MS : 0;
      if (place) void navigate({ to: place.to });
      else if (event.key === "?") onHelp();
      else if (event.key === "/") focusSearch();
      else return;
      event.preventDefault();
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, [navigate, onHelp, isCovered]);
}

const isWriting = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));

const isInDialog = (): boolean => document.querySelector("dialog[open]") !== null;

const focusSearch = (): void => document.querySelector<HTMLElement>("[data-search]")?.focus();
