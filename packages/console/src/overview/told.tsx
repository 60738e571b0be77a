/** What one question of the overview has been told so far, and what may be said of it. */
import { Skeleton, Text } from "@mantine/core";
import type { ReactNode } from "react";
import { Failure } from "../parts/notices.tsx";

export interface Told<Item> {
  /** Undefined = it is not known. */
  readonly items: readonly Item[] | undefined;
  readonly error: Error | null;
  readonly retry: () => void;
}

export interface PanelBodyProps {
  readonly told: readonly Told<unknown>[];
  /** Said when all is known and there is nothing. */
  readonly none: string;
  /** Shows what is known. */
  readonly children: ReactNode;
}

/** Says that there is nothing only when that is known: not while it is asked, nor when nobody answers. */
export function PanelBody({ told, none, children }: PanelBodyProps) {
  const unknown = told.filter(({ items }) => items === undefined);
  const failed = unknown.find(({ error }) => error !== null);
  const retry = () => {
    for (const { error, retry: again } of unknown) if (error !== null) again();
  };
  return (
    <>
      {failed?.error && <Failure error={failed.error} retry={retry} />}
      {unknown.some(({ error }) => error === null) && <Skeleton height={60} />}
      {children}
      {told.every(({ items }) => items?.length === 0) && <Text c="dimmed">{none}</Text>}
    </>
  );
}
