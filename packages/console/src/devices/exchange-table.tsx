/** What a device was asked during an update, and what it answered. */
import type { Exchange } from "@airlift/protocol/api/schemas";
import { Skeleton, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { exchangesQuery } from "../api/queries.ts";
import { clockTime, type DeviceZone, deviceTime } from "../parts/instants.tsx";
import { Failure } from "../parts/notices.tsx";
import { Scrolls } from "../parts/scrolls.tsx";
import { TableHead } from "../parts/table-head.tsx";

export interface ExchangeTableProps {
  readonly updateId: string;
  readonly zone: DeviceZone;
}

export function ExchangeTable({ updateId, zone }: ExchangeTableProps) {
  const { data, error, refetch } = useQuery(exchangesQuery(updateId));
  if (error && !data) return <Failure error={error} retry={() => void refetch()} />;
  if (!data) return <Skeleton height={80} />;
  if (data.length === 0) return <Text c="dimmed">The device has not been asked anything yet.</Text>;
  return (
    <Scrolls label="Exchanges">
      <table className="plain">
        <TableHead names={["Attempt", "At", "Asked", "Answer", "Took", "Sent again", "Package"]} />
        <tbody>
          {data.map((exchange) => (
            <tr key={exchange.number}>
              <td>{exchange.attempt}</td>
              <td title={deviceTime(Date.parse(exchange.at), zone)}>{clockTime(Date.parse(exchange.at))}</td>
              <td className="mono">{exchange.request}</td>
              <td className="mono">{exchange.answer}</td>
              <td>{exchange.tookMs.toLocaleString()} ms</td>
              <td>{exchange.retransmissionCount === 0 ? "" : `${exchange.retransmissionCount} ×`}</td>
              <td>{exchange.transfer && transferWords(exchange.transfer)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scrolls>
  );
}

const transferWords = ({ bytes, blockCount, rateBps }: NonNullable<Exchange["transfer"]>): string =>
  `${bytes.toLocaleString()} B in ${blockCount.toLocaleString()} blocks, ${Math.round(rateBps / 1000).toLocaleString()} kbit/s`;
