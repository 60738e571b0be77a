/** A text of any length, cut where nobody reads on; the whole of it is a click away. */
import { Button } from "@mantine/core";
import { useState } from "react";

export function Clipped({ text, length = 400 }: { readonly text: string; readonly length?: number }) {
  const [isWhole, setWhole] = useState(false);
  if (text.length <= length) return <span className="anywhere">{text}</span>;
  return (
    <span className="anywhere">
      {isWhole ? text : `${text.slice(0, length)} …`}{" "}
      <Button size="compact-xs" variant="default" onClick={() => setWhole(!isWhole)}>
        {isWhole ? "less" : `all ${text.length.toLocaleString()} characters`}
      </Button>
    </span>
  );
}
