/** What a device holds, with the names of the object models: read, written, executed and observed at the device itself. */
import type { DeviceObject, DiscoveredPlace, LastValue } from "@airlift/protocol/api/operations";
import { Alert, Button, Group, Skeleton, Stack, Text, Title } from "@mantine/core";
import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { objectsQuery, observationsQuery, valuesQuery } from "../api/queries.ts";
import { useMay } from "../api/session.ts";
import { Empty, Failure } from "../parts/notices.tsx";
import type { PartProps } from "./device-page.tsx";
import { useDeviceOperations } from "./operations.ts";
import { type ResourceLine, ResourceTable } from "./resource-table.tsx";

export function ResourcesPart({ device }: PartProps) {
  const { data: objects, error, refetch } = useQuery(objectsQuery(device.endpoint));
  const [openId, setOpenId] = useState<number>();
  if (error && !objects) return <Failure error={error} retry={() => void refetch()} />;
  if (!objects) return <Skeleton height={120} />;
  if (objects.length === 0) return <Empty title="The device has registered no objects" />;
  return (
    <Stack gap="sm">
      {device.awake === "asleep" && (
        <Alert color="blue" variant="light">
          The device sleeps: {device.reachability}. What it told last is below; questions for later go to Requests.
        </Alert>
      )}
      {objects.map((object) => (
        <ObjectPanel
          key={object.id}
          object={object}
          endpoint={device.endpoint}
          isOpen={openId === object.id}
          onToggle={() => setOpenId(openId === object.id ? undefined : object.id)}
        />
      ))}
    </Stack>
  );
}

interface ObjectPanelProps {
  readonly object: DeviceObject;
  readonly endpoint: string;
  readonly isOpen: boolean;
  readonly onToggle: () => void;
}

function ObjectPanel({ object, endpoint, isOpen, onToggle }: ObjectPanelProps) {
  return (
    <section className="panel">
      <Group justify="space-between">
        <Title order={3} size="h5">
          {object.name ?? "Object without a model"}{" "}
          <span className="quiet">
            /{object.id} · version {object.version} · {object.instances.length}{" "}
            {object.instances.length === 1 ? "instance" : "instances"}
          </span>
        </Title>
        <Button
          size="compact-sm"
          variant="default"
          aria-expanded={isOpen}
          aria-label={`${isOpen ? "Close" : "Open"} object ${object.id}`}
          onClick={onToggle}
        >
          {isOpen ? "Close" : "Open"}
        </Button>
      </Group>
      {isOpen && <ObjectContent object={object} endpoint={endpoint} />}
    </section>
  );
}

type ObjectContentProps = Pick<ObjectPanelProps, "object" | "endpoint">;

function ObjectContent({ object, endpoint }: ObjectContentProps) {
  const mayAsk = useMay("operator");
  const operations = useDeviceOperations(endpoint);
  const { data: values = [] } = useQuery(valuesQuery(endpoint));
  const { data: observations = [] } = useQuery(observationsQuery(endpoint));
  const [places, setPlaces] = useState<readonly DiscoveredPlace[]>([]);
  const look = useMutation({
    mutationFn: async () => {
      // What can be executed is not read: only Discover tells of it.
      setPlaces(await operations.discover(`/${object.id}`));
      for (const instance of object.instances) await operations.read(`/${object.id}/${instance}`);
    },
  });
  const lines = linesOf(object, values, places);
  return (
    <Stack gap="xs" mt="xs">
      {mayAsk && (
        <Group>
          <Button size="compact-sm" loading={look.isPending} onClick={() => look.mutate()}>
            Read all of it
          </Button>
        </Group>
      )}
      {look.error && <Failure error={look.error} />}
      {lines.length === 0 ? (
        <Text c="dimmed">The device has told nothing of this yet.</Text>
      ) : (
        <ResourceTable lines={lines} operations={operations} observations={observations} mayAsk={mayAsk} />
      )}
    </Stack>
  );
}

/** Resources by path: those it told a value of, and those it only has. */
function linesOf(
  { id }: DeviceObject,
  values: readonly LastValue[],
  places: readonly DiscoveredPlace[],
): readonly ResourceLine[] {
  const own = values.filter(({ path }) => path.startsWith(`/${id}/`));
  const told = new Set(own.map(({ path }) => path.split("/").slice(0, 4).join("/")));
  const silent = places
    .filter(({ path }) => path.split("/").length === 4 && !told.has(path))
    .map(({ path, name }) => ({ path, name, value: undefined }));
  const numbers = (path: string) => path.split("/").slice(1).map(Number);
  return [...own.map((value) => ({ path: value.path, name: value.name, value })), ...silent].sort((a, b) =>
    compare(numbers(a.path), numbers(b.path)),
  );
}

function compare(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((number, index) => number !== b[index]);
  return at === -1 ? a.length - b.length : (a[at] ?? 0) - (b[at] ?? -1);
}
