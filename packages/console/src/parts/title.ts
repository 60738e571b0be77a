/** What the browser's tab says. */
import { useEffect } from "react";

export function useTitle(title: string): void {
  useEffect(() => {
    const before = document.title;
    document.title = `${title} · Airlift`;
    return () => {
      document.title = before;
    };
  }, [title]);
}
