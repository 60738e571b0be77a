/** One image: what it is, who runs it, and where it was sent. */
import type { Image } from "@airlift/protocol/api/schemas";
import { Button, Group, Paper, Skeleton, Stack, Text, Title } from "@mantine/core";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { imageQuery, previewQuery, updatesQuery } from "../api/queries.ts";
import { Empty, Failure, isMissing } from "../parts/notices.tsx";
import { useTitle } from "../parts/title.ts";
import { UpdateLine } from "../parts/update-line.tsx";
import { DeltaTable } from "./delta-table.tsx";
import { ImageFacts } from "./image-facts.tsx";

const route = getRouteApi("/images/$id");

export function ImagePage() {
  const { id } = route.useParams();
  const { data: image, error, refetch } = useQuery(imageQuery(id));
  useTitle(image ? `${image.model} ${image.version}` : "Image");
  if (isMissing(error))
    return (
      <Empty title="There is no such image">
        <Link to="/images">To the images</Link>
      </Empty>
    );
  if (error && !image) return <Failure error={error} retry={() => void refetch()} />;
  if (!image) return <Skeleton height={300} />;
  return (
    <Stack>
      <Title order={2} className="anywhere">
        {image.manufacturer} {image.model} {image.version}
      </Title>
      <Paper withBorder p="md">
        <ImageFacts image={image} />
      </Paper>
      <Title order={3} size="h4">
        Deltas
      </Title>
      <DeltaTable deltas={image.deltas} />
      <Title order={3} size="h4">
        Where it is used
      </Title>
      <Runs image={image} />
      <Sent image={image} />
    </Stack>
  );
}

/** A value for RSQL. */
const quoted = (text: string): string => `"${text.replaceAll(/["\\]/g, "\\$&")}"`;

function Runs({ image: { manufacturer, model, version } }: { readonly image: Image }) {
  const query = `manufacturer==${quoted(manufacturer)};model==${quoted(model)};version==${quoted(version)}`;
  const { data } = useQuery(previewQuery(query));
  if (!data) return null;
  if (data.count === 0) return <Text>No device runs this version.</Text>;
  return (
    <Text>
      <Link to="/devices" search={{ query }}>
        {data.isExact ? "" : "About "}
        {data.count.toLocaleString()} {data.count === 1 ? "device runs" : "devices run"} this version
      </Link>
    </Text>
  );
}

function Sent({ image: { id, deltas } }: { readonly image: Image }) {
  const { data, error, hasNextPage, fetchNextPage, isFetchingNextPage } = useInfiniteQuery(
    updatesQuery({ imageId: id, limit: 50 }),
  );
  if (error) return <Failure error={error} />;
  const updates = data?.pages.flatMap(({ items }) => items) ?? [];
  if (updates.length === 0) return <Text c="dimmed">It was not sent to any device yet.</Text>;
  return (
    <>
      <ul className="lines">
        {updates.map((update) => (
          <UpdateLine key={update.id} update={update}>
            {update.deltaId !== null && (
              <Text size="sm">
                Sent as the delta from{" "}
                {deltas.find((delta) => delta.id === update.deltaId)?.baseVersion ?? update.deltaId}:{" "}
                {update.totalBytes.toLocaleString()} B
              </Text>
            )}
          </UpdateLine>
        ))}
      </ul>
      {hasNextPage && (
        <Group>
          <Button size="compact-sm" variant="default" loading={isFetchingNextPage} onClick={() => void fetchNextPage()}>
            Earlier
          </Button>
        </Group>
      )}
    </>
  );
}
