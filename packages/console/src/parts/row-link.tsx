/** A link in a row of a long table: it costs next to nothing while it is scrolled by, and does what links do. */
import { useRouter } from "@tanstack/react-router";
import type { MouseEvent } from "react";

export interface RowLinkProps {
  /** A path of this page, encoded. */
  readonly path: string;
  readonly text: string;
}

export function RowLink({ path, text }: RowLinkProps) {
  const router = useRouter();
  const follow = (event: MouseEvent) => {
    // Another tab, another window, a download: the browser's.
    if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    void router.navigate({ href: path });
  };
  return (
    <a href={path} title={text} onClick={follow}>
      {text}
    </a>
  );
}
