/** Which columns the table of devices has; kept in the viewer's browser. */
import { Button, Checkbox } from "@mantine/core";
import { useState } from "react";
import { Dialog } from "../parts/dialog.tsx";
import { DEVICE_COLUMNS, USUAL_COLUMNS } from "./device-columns.tsx";

export interface ColumnChoiceProps {
  readonly keys: readonly string[];
  readonly onChange: (keys: readonly string[]) => void;
}

export function ColumnChoice({ keys, onChange }: ColumnChoiceProps) {
  const [isOpen, setOpen] = useState(false);
  return (
    <>
      <Button size="compact-sm" variant="default" onClick={() => setOpen(true)}>
        Columns
      </Button>
      {isOpen && (
        <Dialog title="Columns" onClose={() => setOpen(false)}>
          <div className="choices">
            {DEVICE_COLUMNS.map(({ key, name }) => (
              <Checkbox
                key={key}
                label={name}
                checked={keys.includes(key)}
                // Without its name a row is nobody's.
                disabled={key === "endpoint"}
                onChange={({ currentTarget: { checked } }) =>
                  onChange(checked ? [...keys, key] : keys.filter((one) => one !== key))
                }
              />
            ))}
          </div>
          <Button variant="default" onClick={() => onChange(USUAL_COLUMNS)}>
            The usual ones
          </Button>
        </Dialog>
      )}
    </>
  );
}
