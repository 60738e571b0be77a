/** Says what follows, and does it only then. */
import { Button, type ButtonProps, Group, Text } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { Dialog } from "./dialog.tsx";
import { Failure } from "./notices.tsx";

/** What is about to be done. */
export interface Action extends Pick<ButtonProps, "color"> {
  /** The dialog's title and its confirmation: "Cancel the update". */
  readonly label: string;
  /** What will happen, spelled out. */
  readonly consequence: ReactNode;
  readonly act: () => Promise<unknown>;
  readonly onDone?: (() => void) | undefined;
}

export interface ConfirmationProps extends Action {
  /** Called after it was done, too. */
  readonly onClose: () => void;
}

/** Open as long as it exists. */
export function Confirmation({ label, consequence, act, onDone, onClose, color }: ConfirmationProps) {
  const { mutate, error, isPending } = useMutation({
    mutationFn: act,
    onSuccess: () => {
      onClose();
      onDone?.();
    },
  });
  return (
    <Dialog title={`${label}?`} onClose={onClose}>
      <Text component="div">{consequence}</Text>
      {error && <Failure error={error} />}
      <Group justify="flex-end">
        <Button variant="default" onClick={onClose}>
          Leave it
        </Button>
        <Button loading={isPending} color={color ?? "blue"} onClick={() => mutate()}>
          {label}
        </Button>
      </Group>
    </Dialog>
  );
}
