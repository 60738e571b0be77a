/** The browser's own dialog: it keeps the focus, ends with Escape, and needs no style of its own making. */
import { CloseButton, Group, Stack, Title } from "@mantine/core";
import { type ReactNode, useId, useLayoutEffect, useRef } from "react";
import { useCovered } from "./covered.ts";

export interface DialogProps {
  readonly title: string;
  readonly onClose: () => void;
  readonly children: ReactNode;
}

/** Open as long as it exists, but for the time in which somebody has to sign in: it would stand before that. */
export function Dialog({ title, onClose, children }: DialogProps) {
  const element = useRef<HTMLDialogElement>(null);
  const titleId = useId();
  const isCovered = useCovered();
  // A dialog gives the focus back to where it was as long as it is in the page: later there is nobody who would.
  useLayoutEffect(() => {
    const dialog = element.current;
    if (dialog?.open === false && !isCovered) dialog.showModal();
    return () => dialog?.close();
  }, [isCovered]);
  return (
    <dialog ref={element} className="dialog" aria-labelledby={titleId} onCancel={onClose}>
      <Stack gap="md">
        <Group justify="space-between" wrap="nowrap">
          <Title order={2} size="h4" id={titleId}>
            {title}
          </Title>
          <CloseButton aria-label="Close" onClick={onClose} />
        </Group>
        {children}
      </Stack>
    </dialog>
  );
}
