/** The deltas that make an image: from which version, and what they save. */
import type { Delta } from "@airlift/protocol/api/schemas";
import { Text } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { Ago } from "../parts/instants.tsx";
import { Scrolls } from "../parts/scrolls.tsx";
import { TableHead } from "../parts/table-head.tsx";

/** "4.2 %" of the whole image. */
export const shareText = ({ share }: Delta): string =>
  share < 0.001 ? "under 0.1 %" : `${(100 * share).toFixed(1)} %`;

export function DeltaTable({ deltas }: { readonly deltas: readonly Delta[] }) {
  if (deltas.length === 0)
    return (
      <Text c="dimmed">
        There is none: devices get the whole image. <code className="mono">npx airlift image delta BASE NEW</code> makes
        one.
      </Text>
    );
  return (
    <Scrolls label="Deltas">
      <table className="plain">
        <TableHead names={["From version", "Size", "Of the whole image", "Id", "Added"]} />
        <tbody>
          {deltas.map((delta) => (
            <tr key={delta.id}>
              <th scope="row" className="anywhere">
                <Link to="/images/$id" params={{ id: delta.baseImageId }}>
                  {delta.baseVersion}
                </Link>
              </th>
              <td>{delta.sizeBytes.toLocaleString()} B</td>
              <td>{shareText(delta)}</td>
              <td className="mono">{delta.id}</td>
              <td>
                <Ago at={delta.createdAt} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scrolls>
  );
}
