/** The keys, in one dialog. */
import { Kbd } from "@mantine/core";
import { Dialog } from "../parts/dialog.tsx";
import { PLACES } from "./places.ts";

export const Help = ({ onClose }: { readonly onClose: () => void }) => (
  <Dialog title="Keys" onClose={onClose}>
    <dl className="pairs">
      {PLACES.map(({ key, name }) => (
        <div key={key} className="pair">
          <dt>
            <Kbd>g</Kbd> <Kbd>{key}</Kbd>
          </dt>
          <dd>{name}</dd>
        </div>
      ))}
      {OTHERS.map(([key, what]) => (
        <div key={key} className="pair">
          <dt>
            <Kbd>{key}</Kbd>
          </dt>
          <dd>{what}</dd>
        </div>
      ))}
    </dl>
  </Dialog>
);

const OTHERS = [
  ["/", "to the search of this page"],
  ["↑ ↓", "from row to row in a table; Page Up and Down, Home and End too"],
  ["Enter", "opens the row"],
  ["Esc", "closes a dialog"],
  ["?", "shows this"],
] as const;
