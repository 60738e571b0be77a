/** A button that says what follows before it does it. */
import { Button, type ButtonProps, Group, Text } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { Dialog } from "./dialog.tsx";
import { Failure } from "./notices.tsx";

export interface ActionButtonProps extends Pick<ButtonProps, "size" | "variant" | "color" | "disabled"> {
  /** What the button says, and the dialog's confirmation: "Cancel the update". */
  readonly label: string;
  /** Shorter, for the button itself. */
  readonly short?: string;
  /** What will happen, spelled out. */
  readonly consequence: ReactNode;
  readonly act: () => Promise<unknown>;
  readonly onDone?: () => void;
}

export function ActionButton({ label, short, consequence, act, onDone, ...look }: ActionButtonProps) {
  const [isOpen, setOpen] = useState(false);
  const { mutate, error, isPending, reset } = useMutation({
    mutationFn: act,
    onSuccess: () => {
      setOpen(false);
      onDone?.();
    },
  });
  const close = () => {
    reset();
    setOpen(false);
  };
  return (
    <>
      <Button
        size="compact-sm"
        variant="default"
        {...look}
        onClick={() => setOpen(true)}
        {...(short !== undefined && { "aria-label": label })}
      >
        {short ?? label}
      </Button>
      {isOpen && (
        <Dialog title={`${label}?`} onClose={close}>
          <Text component="div">{consequence}</Text>
          {error && <Failure error={error} />}
          <Group justify="flex-end">
            <Button variant="default" onClick={close}>
              Leave it
            </Button>
            <Button loading={isPending} color={look.color ?? "blue"} onClick={() => mutate()}>
              {label}
            </Button>
          </Group>
        </Dialog>
      )}
    </>
  );
}
