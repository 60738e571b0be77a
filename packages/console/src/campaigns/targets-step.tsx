/** What is brought to whom. */
import type { TargetPreview } from "@airlift/protocol/api/campaign";
import type { Image } from "@airlift/protocol/api/schemas";
import { Button, Checkbox, Group, NativeSelect, Stack, Text } from "@mantine/core";
import { useInfiniteQuery, useMutation } from "@tanstack/react-query";
import { imagesQuery } from "../api/queries.ts";
import { Failure } from "../parts/notices.tsx";
import { Field } from "./field.tsx";
import { previewTargets } from "./queries.ts";
import type { StepProps } from "./step-props.ts";

export function TargetsStep({ draft, onChange }: StepProps) {
  const { data, error } = useInfiniteQuery(imagesQuery());
  const images = data?.pages.flatMap(({ items }) => items) ?? [];
  return (
    <Stack gap="sm">
      {error && <Failure error={error} />}
      <Field label="Name" required maxLength={100} value={draft.name} onText={(name) => onChange({ name })} />
      <ImageSelect
        label="Image"
        images={images}
        value={draft.image}
        onChange={(image) => onChange({ image, ...(draft.query === "" && queryFor(images, image)) })}
      />
      <Field
        label="Devices"
        description="RSQL over what devices are and said"
        required
        placeholder="model==Pump;version=lt=2.0.0"
        value={draft.query}
        onText={(query) => onChange({ query })}
      />
      <Preview query={draft.query} />
      <Checkbox
        label="Devices that come to match later join"
        checked={draft.isContinuous}
        onChange={({ currentTarget }) => onChange({ isContinuous: currentTarget.checked })}
      />
    </Stack>
  );
}

/** What most want: the devices that the image is made for and that run something older. */
function queryFor(images: readonly Image[], id: string): { query: string } | undefined {
  const image = images.find((one) => one.id === id);
  if (image === undefined) return undefined;
  const text = (value: string) => (/^[\w.-]+$/.test(value) ? value : `"${value.replaceAll(/["\\]/g, "\\$&")}"`);
  return { query: `model==${text(image.model)};version=lt=${text(image.version)}` };
}

interface ImageSelectProps {
  readonly label: string;
  readonly images: readonly Image[];
  readonly value: string;
  readonly onChange: (id: string) => void;
  readonly none?: string;
}

export const ImageSelect = ({ label, images, value, onChange, none = "choose an image" }: ImageSelectProps) => (
  <NativeSelect
    label={label}
    value={value}
    data={[
      { value: "", label: none },
      ...images.map(({ id, manufacturer, model, version }) => ({
        value: id,
        label: `${manufacturer} ${model} ${version}`,
      })),
    ]}
    onChange={({ currentTarget }) => onChange(currentTarget.value)}
  />
);

function Preview({ query }: { readonly query: string }) {
  const { mutate, data, error, isPending } = useMutation({ mutationFn: () => previewTargets(query) });
  return (
    <Stack gap="xs">
      <Group>
        <Button
          variant="default"
          size="compact-sm"
          loading={isPending}
          disabled={query.trim() === ""}
          onClick={() => mutate()}
        >
          Who is that?
        </Button>
        {data && <PreviewText {...data} />}
      </Group>
      {error && <Failure error={error} />}
    </Stack>
  );
}

const PreviewText = ({ count, isExact, isWholeFleet, sample }: TargetPreview) => (
  <Text size="sm" role="status" className="anywhere">
    {isWholeFleet && <b>Every device that there is: </b>}
    {isExact ? "" : "about "}
    {count.toLocaleString()} device{count === 1 ? "" : "s"}
    {sample.length > 0 && `: ${sample.map(({ endpoint }) => endpoint).join(", ")}${count > sample.length ? " …" : ""}`}
  </Text>
);
