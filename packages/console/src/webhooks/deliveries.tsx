/** What was sent to a webhook, newest first. */
import { Skeleton, Text } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import { deliveriesQuery } from "../api/queries.ts";
import { Ago } from "../parts/instants.tsx";
import { Failure } from "../parts/notices.tsx";
import { Scrolls } from "../parts/scrolls.tsx";
import { TableHead } from "../parts/table-head.tsx";

export function Deliveries({ webhookId }: { readonly webhookId: string }) {
  const { data, error, refetch } = useInfiniteQuery({ ...deliveriesQuery(webhookId), staleTime: 0 });
  if (error && !data) return <Failure error={error} retry={() => void refetch()} />;
  if (!data) return <Skeleton height={60} />;
  const deliveries = data.pages.flatMap(({ items }) => items);
  if (deliveries.length === 0) return <Text c="dimmed">Nothing was sent yet.</Text>;
  return (
    <Scrolls label="Deliveries">
      <table className="plain">
        <TableHead names={["Event", "State", "Attempts", "Answer", "Problem", "Since"]} />
        <tbody>
          {deliveries.map(({ id, kind, state, attempts, status, problem, createdAt }) => (
            <tr key={id}>
              <td className="mono">{kind}</td>
              <td>{state === "dead" ? "given up" : state}</td>
              <td>{attempts}</td>
              <td>{status ?? "–"}</td>
              <td className="anywhere">{problem?.slice(0, 300) ?? ""}</td>
              <td>
                <Ago at={createdAt} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scrolls>
  );
}
