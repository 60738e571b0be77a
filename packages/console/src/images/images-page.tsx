/** The image store: what there is, and what was read from each file. */

import type { Image } from "@airlift/protocol/api/schemas";
import { Skeleton, Stack, Text, Title } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import { imagesQuery } from "../api/queries.ts";
import { Ago } from "../parts/instants.tsx";
import { Empty, Failure } from "../parts/notices.tsx";
import { type Column, VirtualRows } from "../parts/virtual-rows.tsx";

const COLUMNS: readonly Column<Image>[] = [
  { name: "Model", width: "minmax(10rem, 1fr)", cell: ({ manufacturer, model }) => `${manufacturer} ${model}` },
  { name: "Version", width: "9rem", cell: ({ version }) => version },
  { name: "Size", width: "8rem", cell: ({ sizeBytes }) => `${sizeBytes.toLocaleString()} B` },
  { name: "Format", width: "7rem", cell: ({ format }) => format },
  { name: "Signature", width: "minmax(10rem, 1fr)", cell: ({ signature }) => signatureText(signature) },
  { name: "Added", width: "8rem", cell: ({ createdAt }) => <Ago at={createdAt} /> },
  { name: "Id", width: "12rem", cell: ({ id }) => <span className="mono">{id}</span> },
];

const signatureText = (signature: Image["signature"]): string =>
  signature === null
    ? "none"
    : `${signature.algorithm}, ${signature.verifiedBy === null ? "not verified here" : `verified by ${signature.verifiedBy}`}`;

export function ImagesPage() {
  const { data, error, isPending, refetch } = useInfiniteQuery(imagesQuery());
  const images = data?.pages.flatMap(({ items }) => items) ?? [];
  return (
    <Stack gap="sm">
      <Title order={2}>Images</Title>
      {error && <Failure error={error} retry={() => void refetch()} />}
      {isPending && <Skeleton height={200} />}
      {data && images.length === 0 && (
        <Empty title="No image yet">
          <Text c="dimmed">Add one from the command line:</Text>
          <code className="mono">npx airlift image add FILE --manufacturer M --model MO --version V</code>
        </Empty>
      )}
      {images.length > 0 && <VirtualRows label="Images" columns={COLUMNS} rows={images} keyOf={({ id }) => id} />}
    </Stack>
  );
}
