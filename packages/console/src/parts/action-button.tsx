/** A button that says what follows before it does it. */
import { Button, type ButtonProps } from "@mantine/core";
import { useState } from "react";
import { type Action, Confirmation } from "./confirmation.tsx";

export interface ActionButtonProps extends Action, Pick<ButtonProps, "size" | "variant"> {
  /** Shorter than `label`, for the button itself. */
  readonly short?: string;
}

export function ActionButton({ short, size = "compact-sm", variant = "default", ...action }: ActionButtonProps) {
  const { label, color } = action;
  const [isOpen, setOpen] = useState(false);
  return (
    <>
      <Button
        size={size}
        variant={variant}
        onClick={() => setOpen(true)}
        {...(color !== undefined && { color })}
        {...(short !== undefined && { "aria-label": label })}
      >
        {short ?? label}
      </Button>
      {isOpen && <Confirmation {...action} onClose={() => setOpen(false)} />}
    </>
  );
}
