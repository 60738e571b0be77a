/** Adds an image: the file, what it is for, and how far it has come. */
import type { AddedImage, Delta, Image } from "@airlift/protocol/api/schemas";
import { Alert, Button, FileInput, Group, Progress, Stack, Text, TextInput } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useRef, useState } from "react";
import { Dialog } from "../parts/dialog.tsx";
import { Failure } from "../parts/notices.tsx";
import { shareText } from "./delta-table.tsx";
import { ImageFacts } from "./image-facts.tsx";
import { type ImageNames, MOST_TRIES, rememberedUpload, type UploadPause, uploadImage } from "./upload.ts";

export interface UploadDialogProps {
  /** What is there already, to be chosen from again. */
  readonly images: readonly Image[];
  readonly onClose: () => void;
}

const NOTHING: ImageNames = { manufacturer: "", model: "", version: "", hardware: [] };

export function UploadDialog({ images, onClose }: UploadDialogProps) {
  const [file, setFile] = useState<File | null>(null);
  const [names, setNames] = useState(NOTHING);
  const { mutate, error, data: added, isPending, sentBytes, pause, stop } = useUpload();
  const isKnown = file !== null && rememberedUpload(file) !== undefined;
  const choose = (chosen: File | null) => {
    setFile(chosen);
    const known = chosen === null ? undefined : rememberedUpload(chosen);
    if (known) setNames(known.names);
  };
  const close = () => {
    stop();
    onClose();
  };
  if (added) return <Added image={added} onClose={onClose} />;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (file) mutate({ file, names });
  };
  return (
    <Dialog title="Add an image" onClose={close}>
      <form onSubmit={submit}>
        <Stack>
          <FileInput
            label="File"
            placeholder="Choose a file …"
            required
            value={file}
            onChange={choose}
            disabled={isPending}
            description="an image; or a delta, under the name of the image that it makes"
            fileInputProps={{ "aria-label": "Image file" }}
          />
          {isKnown && !isPending && (
            <Alert variant="light">An upload of this file was begun before. It goes on where it ended.</Alert>
          )}
          <NameFields names={names} images={images} isFixed={isPending} onChange={setNames} />
          {isPending && file && <Sent sentBytes={sentBytes} wholeBytes={file.size} pause={pause} />}
          {error && <Failure error={error} />}
          <Group justify="flex-end">
            <Button variant="default" onClick={close}>
              {isPending ? "Stop; go on later" : "Leave it"}
            </Button>
            <Button type="submit" loading={isPending} disabled={file === null}>
              {isKnown ? "Go on" : "Upload"}
            </Button>
          </Group>
        </Stack>
      </form>
    </Dialog>
  );
}

function useUpload() {
  const client = useQueryClient();
  const [sentBytes, setSentBytes] = useState(0);
  const [pause, setPause] = useState<UploadPause>();
  const abort = useRef<AbortController>(undefined);
  const mutation = useMutation({
    mutationFn: ({ file, names }: { file: File; names: ImageNames }) => {
      abort.current = new AbortController();
      return uploadImage(file, names, { onProgress: setSentBytes, onPause: setPause, signal: abort.current.signal });
    },
    onSuccess: () => void client.invalidateQueries({ queryKey: ["images"] }),
  });
  return { ...mutation, sentBytes, pause, stop: () => abort.current?.abort() };
}

interface SentProps {
  readonly sentBytes: number;
  readonly wholeBytes: number;
  readonly pause: UploadPause | undefined;
}

const Sent = ({ sentBytes, wholeBytes, pause }: SentProps) => (
  <div role="status">
    <Progress value={(sentBytes / Math.max(1, wholeBytes)) * 100} aria-label="Uploaded" />
    <Text size="sm">
      {sentBytes.toLocaleString()} of {wholeBytes.toLocaleString()} B
      {pause === undefined && sentBytes === wholeBytes && ": the server reads it …"}
      {pause !== undefined &&
        `: ${pause.reason} It goes on by itself when the server answers (try ${pause.tryCount} of ${MOST_TRIES}).`}
    </Text>
  </div>
);

interface NameFieldsProps {
  readonly names: ImageNames;
  readonly images: readonly Image[];
  readonly isFixed: boolean;
  readonly onChange: (names: ImageNames) => void;
}

const FIELDS = [
  ["manufacturer", "Manufacturer", "as the device tells it, /3/0/0"],
  ["model", "Model", "as the device tells it, /3/0/1"],
  ["version", "Version", "as the device will tell it, /3/0/3"],
] as const;

const NameFields = ({ names, images, isFixed, onChange }: NameFieldsProps) => (
  <>
    {FIELDS.map(([key, label, description]) => (
      <div key={key}>
        <TextInput
          label={label}
          description={description}
          required
          maxLength={64}
          disabled={isFixed}
          list={`known-${key}`}
          value={names[key]}
          onChange={({ currentTarget: { value } }) => onChange({ ...names, [key]: value })}
        />
        <datalist id={`known-${key}`}>
          {[...new Set(images.map((image) => image[key]))].slice(0, 50).map((value) => (
            <option key={value} value={value} />
          ))}
        </datalist>
      </div>
    ))}
    <TextInput
      label="Hardware"
      description="revisions it runs on, with commas between; empty = any"
      disabled={isFixed}
      value={names.hardware.join(",")}
      onChange={({ currentTarget: { value } }) =>
        onChange({ ...names, hardware: value === "" ? [] : value.split(",") })
      }
    />
  </>
);

const Added = ({ image, onClose }: { readonly image: AddedImage; readonly onClose: () => void }) => (
  <Dialog title={image.delta === null ? "The image is in the store" : "The delta is in the store"} onClose={onClose}>
    {image.warnings.map((warning) => (
      <Alert key={warning} color="orange" variant="light" title="Look at this first">
        {warning}
      </Alert>
    ))}
    {image.delta && <DeltaFacts delta={image.delta} image={image} />}
    <ImageFacts image={image} />
    <Group justify="flex-end">
      <Button onClick={onClose}>Done</Button>
    </Group>
  </Dialog>
);

/** What was read from a delta, and what it came to when it was tried out. */
const DeltaFacts = ({ delta, image }: { readonly delta: Delta; readonly image: Image }) => (
  <Alert variant="light" title={`Delta from ${delta.baseVersion} to ${image.version}`}>
    {delta.sizeBytes.toLocaleString()} B, {shareText(delta)} of the whole image. It was tried out, and makes the image
    below octet for octet: that image's signature is what devices verify.
  </Alert>
);
