/** How the server was started. It is told so by its flags and files; here it is only shown. */
import { Badge, Paper, Skeleton, Stack, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { serverQuery } from "../api/queries.ts";
import { Moment } from "../parts/instants.tsx";
import { Failure } from "../parts/notices.tsx";
import { useTitle } from "../parts/title.ts";

export function SettingsPage() {
  useTitle("Settings");
  const { data: server, error, refetch } = useQuery(serverQuery());
  if (error && !server) return <Failure error={error} retry={() => void refetch()} />;
  if (!server) return <Skeleton height={200} />;
  const facts: readonly (readonly [string, ReactNode])[] = [
    ["Version", server.version],
    ["Devices come in at", <Lines key="urls" texts={server.coapUrls} />],
    ["Devices without a credential", server.plainDevices === "allow" ? "may register" : "are refused"],
    ["Signatures on images", signatureWords(server.trustedKeyCount)],
    ["Largest image", `${server.maxImageBytes.toLocaleString()} B`],
    ["Name for devices that pull", server.publicHost ?? "the one they reached the server by"],
    ["Database", server.database === "embedded" ? "its own, in the data folder" : "an external one"],
    ["Tokens", server.wantsTokens ? "wanted" : "not wanted: whoever reaches this server may do everything"],
  ];
  return (
    <Stack>
      <Title order={2}>Settings</Title>
      <Paper withBorder p="md">
        <dl className="pairs">
          {facts.map(([name, value]) => (
            <div key={name} className="pair">
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ))}
        </dl>
      </Paper>
      <Text size="sm" c="dimmed">
        They are changed where the server is started: <code className="mono">airlift serve --help</code> names them all.
      </Text>
      <Title order={3} size="h4">
        Servers on this database
      </Title>
      {server.nodes.map(({ id, startedAt, isAlive }) => (
        <Paper key={id} withBorder p="sm">
          <Text className="anywhere">
            {id} {id === server.node && "(this one)"}{" "}
            <Badge variant="dot" color={isAlive ? "teal" : "gray"} tt="none">
              {isAlive ? "runs" : "gone"}
            </Badge>
          </Text>
          <Text size="xs" c="dimmed">
            started <Moment at={startedAt} />
          </Text>
        </Paper>
      ))}
    </Stack>
  );
}

const Lines = ({ texts }: { readonly texts: readonly string[] }) =>
  texts.map((text) => (
    <div key={text} className="mono">
      {text}
    </div>
  ));

const signatureWords = (keyCount: number): string =>
  keyCount === 0
    ? "are not checked here: no key is trusted"
    : `are checked against ${keyCount} trusted ${keyCount === 1 ? "key" : "keys"}`;
