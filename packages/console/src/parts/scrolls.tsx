/** A region that may be wider than the page and is scrolled by keyboard as well: it takes the focus (WCAG 2.1.1). */
import type { ReactNode } from "react";

export const Scrolls = ({ label, children }: { readonly label: string; readonly children: ReactNode }) => (
  <section className="scrolls" aria-label={label} tabIndex={0}>
    {children}
  </section>
);
