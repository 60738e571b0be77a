/** The image store: what there is, and what was read from each file. */
import type { Image } from "@airlift/protocol/api/schemas";
import { Button, Group, Skeleton, Stack, Text, Title } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { imagesQuery } from "../api/queries.ts";
import { useMay } from "../api/session.ts";
import { Ago } from "../parts/instants.tsx";
import { Empty, Failure } from "../parts/notices.tsx";
import { useTitle } from "../parts/title.ts";
import { type Column, VirtualRows } from "../parts/virtual-rows.tsx";
import { UploadDialog } from "./upload-form.tsx";

const COLUMNS: readonly Column<Image>[] = [
  {
    name: "Model",
    width: "minmax(14rem, 2fr)",
    onCard: "title",
    cell: ({ id, manufacturer, model }) => (
      <Link to="/images/$id" params={{ id }} title={`${manufacturer} ${model}`}>
        {manufacturer} {model}
      </Link>
    ),
  },
  {
    name: "Version",
    width: "9rem",
    onCard: "mark",
    cell: ({ version }) => <span title={version}>{version}</span>,
  },
  { name: "Size", width: "9rem", cell: ({ sizeBytes }) => `${sizeBytes.toLocaleString()} B` },
  { name: "Format", width: "7rem", cell: ({ format }) => formatText(format) },
  {
    name: "Signature",
    width: "minmax(14rem, 1fr)",
    cell: ({ signature }) => <span title={signatureText(signature)}>{signatureText(signature)}</span>,
  },
  { name: "Counter", width: "6rem", cell: ({ securityCounter }) => securityCounter ?? "–" },
  { name: "Added", width: "8rem", cell: ({ createdAt }) => <Ago at={createdAt} /> },
];

const formatText = (format: Image["format"]): string => (format === "mcuboot" ? "MCUboot" : format);

const signatureText = (signature: Image["signature"]): string =>
  signature === null
    ? "none"
    : `${signature.algorithm}, ${signature.verifiedBy === null ? "not verified here" : `verified by ${signature.verifiedBy}`}`;

export function ImagesPage() {
  useTitle("Images");
  const mayAdd = useMay("operator");
  const navigate = useNavigate();
  const [isAdding, setAdding] = useState(false);
  const { data, error, isPending, refetch, hasNextPage, fetchNextPage } = useInfiniteQuery(imagesQuery());
  const images = data?.pages.flatMap(({ items }) => items) ?? [];
  return (
    <Stack gap="sm">
      <Group justify="space-between">
        <Title order={2}>Images</Title>
        {mayAdd && <Button onClick={() => setAdding(true)}>Add an image …</Button>}
      </Group>
      {error && <Failure error={error} retry={() => void refetch()} />}
      {isPending && <Skeleton height={200} />}
      {data && images.length === 0 && (
        <Empty title="No image yet">
          <Text c="dimmed">Add one here, or from the command line:</Text>
          <code className="mono">npx airlift image add FILE --manufacturer M --model MO --version V</code>
        </Empty>
      )}
      {images.length > 0 && (
        <VirtualRows
          label="Images"
          columns={COLUMNS}
          rows={images}
          keyOf={({ id }) => id}
          onOpen={({ id }) => void navigate({ to: "/images/$id", params: { id } })}
          onEnd={() => hasNextPage && void fetchNextPage()}
        />
      )}
      {isAdding && <UploadDialog images={images} onClose={() => setAdding(false)} />}
    </Stack>
  );
}
