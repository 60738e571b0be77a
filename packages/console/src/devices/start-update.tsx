/** Begins an update of one device: which image, which way, and whether it is applied at once. */
import type { Device, Image, NewUpdate, Update } from "@airlift/protocol/api/schemas";
import { Alert, Button, Checkbox, Group, NativeSelect, Radio, Stack, Text } from "@mantine/core";
import { useInfiniteQuery, useMutation, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { type FormEvent, useState } from "react";
import { imagesQuery } from "../api/queries.ts";
import { ApiError, ask } from "../api/request.ts";
import { Dialog } from "../parts/dialog.tsx";
import { Failure } from "../parts/notices.tsx";

export function StartUpdate({ device }: { readonly device: Device }) {
  const [isOpen, setOpen] = useState(false);
  return (
    <>
      <Button size="compact-md" onClick={() => setOpen(true)}>
        Update …
      </Button>
      {isOpen && (
        <Dialog title={`Update ${device.endpoint.slice(0, 60)}`} onClose={() => setOpen(false)}>
          <UpdateForm device={device} onDone={() => setOpen(false)} />
        </Dialog>
      )}
    </>
  );
}

const METHODS = [
  ["auto", "As the device can", "asked first, then pull or push"],
  ["pull", "Pull", "the device fetches the image itself"],
  ["push", "Push", "the server sends it block by block"],
] as const;

interface UpdateFormProps {
  readonly device: Device;
  readonly onDone: () => void;
}

function UpdateForm({ device, onDone }: UpdateFormProps) {
  const { data, error: listError } = useInfiniteQuery(imagesQuery());
  const images = data?.pages.flatMap(({ items }) => items) ?? [];
  const [imageId, setImageId] = useState("");
  const [by, setBy] = useState<NonNullable<NewUpdate["by"]>>("auto");
  const [isHeld, setHeld] = useState(false);
  const [mayBeDelta, setMayBeDelta] = useState(false);
  const [isForced, setForced] = useState(false);
  const { mutate, error, isPending } = useStart(onDone);
  const image = images.find(({ id }) => id === imageId);
  const delta = image?.deltas.find(({ baseVersion }) => baseVersion === device.version);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    mutate({
      endpoint: device.endpoint,
      imageId,
      by,
      apply: !isHeld,
      delta: mayBeDelta && delta !== undefined,
      force: isForced,
    });
  };
  const isMismatch = error instanceof ApiError && error.code === "IMAGE_MISMATCH";
  return (
    <form onSubmit={submit}>
      <Stack>
        {listError && <Failure error={listError} />}
        <ImagePicker images={images} device={device} value={imageId} onChange={setImageId} />
        <Radio.Group label="Way" value={by} onChange={(value) => setBy(value as typeof by)}>
          <Stack gap={6} mt={6}>
            {METHODS.map(([value, label, description]) => (
              <Radio key={value} value={value} label={`${label}: ${description}`} />
            ))}
          </Stack>
        </Radio.Group>
        <Checkbox
          label="Only download; apply when I say so"
          checked={isHeld}
          onChange={({ currentTarget }) => setHeld(currentTarget.checked)}
        />
        {delta && (
          <Checkbox
            label={`Send the delta from ${delta.baseVersion}, ${delta.sizeBytes.toLocaleString()} octets: this device decodes deltas`}
            checked={mayBeDelta}
            onChange={({ currentTarget }) => setMayBeDelta(currentTarget.checked)}
          />
        )}
        {(isMismatch || isForced) && (
          <Checkbox
            label="I know better: install it all the same"
            checked={isForced}
            onChange={({ currentTarget }) => setForced(currentTarget.checked)}
          />
        )}
        {image && <Consequence image={image} device={device} isHeld={isHeld} />}
        {error && <Failure error={error} />}
        <Group justify="flex-end">
          <Button variant="default" onClick={onDone}>
            Leave it
          </Button>
          <Button type="submit" loading={isPending} disabled={image === undefined}>
            Start the update
          </Button>
        </Group>
      </Stack>
    </form>
  );
}

function useStart(onDone: () => void) {
  const client = useQueryClient();
  const navigate = useNavigate();
  return useMutation({
    mutationFn: (body: NewUpdate) => ask<Update>("updates", { method: "POST", body }),
    onSuccess: ({ endpoint }) => {
      void client.invalidateQueries({ queryKey: ["updates"] });
      void client.invalidateQueries({ queryKey: ["devices", "one", endpoint] });
      onDone();
      void navigate({ to: "/devices/$endpoint", params: { endpoint }, search: { part: "updates" } });
    },
  });
}

interface ImagePickerProps {
  readonly images: readonly Image[];
  readonly device: Device;
  readonly value: string;
  readonly onChange: (id: string) => void;
}

/** Images for the device's model first. */
function ImagePicker({ images, device, value, onChange }: ImagePickerProps) {
  const fits = ({ manufacturer, model }: Image) => manufacturer === device.manufacturer && model === device.model;
  const optionOf = (image: Image) => (
    <option key={image.id} value={image.id}>
      {`${image.manufacturer} ${image.model} ${image.version}`.slice(0, 120)}
      {image.version === device.version ? " (runs now)" : ""}
    </option>
  );
  const others = images.filter((image) => !fits(image));
  return (
    <NativeSelect
      label="Image"
      required
      value={value}
      onChange={({ currentTarget }) => onChange(currentTarget.value)}
      {...(images.length === 0 && { error: "There is no image yet: add one on the page Images." })}
    >
      <option value="">Choose …</option>
      <optgroup label="For this model">{images.filter(fits).map(optionOf)}</optgroup>
      {others.length > 0 && <optgroup label="For others">{others.map(optionOf)}</optgroup>}
    </NativeSelect>
  );
}

interface ConsequenceProps {
  readonly image: Image;
  readonly device: Device;
  readonly isHeld: boolean;
}

const Consequence = ({ image, device, isHeld }: ConsequenceProps) => (
  <Alert variant="light" title={`${device.version ?? "unknown"} → ${image.version}`}>
    <Text size="sm" className="anywhere">
      {device.endpoint} gets {image.sizeBytes.toLocaleString()} octets
      {isHeld
        ? " and keeps running what it runs until you say Apply."
        : ", installs them and restarts: it does not do its work meanwhile."}
      {device.awake === "asleep" && " It sleeps now; the update begins when it wakes."}
      {image.signature === null && " The image is not signed: a device that checks signatures will refuse it."}
    </Text>
  </Alert>
);
