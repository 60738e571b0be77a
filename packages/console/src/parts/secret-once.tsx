/** A secret that is shown this once: the server keeps nothing that could show it again. */
import { Alert, Button, Code, Group, Stack, Text } from "@mantine/core";
import { useState } from "react";
import { Dialog } from "./dialog.tsx";

export interface SecretOnceProps {
  readonly title: string;
  /** Names and values; the values can be copied. */
  readonly values: readonly (readonly [name: string, value: string])[];
  readonly onClose: () => void;
}

export function SecretOnce({ title, values, onClose }: SecretOnceProps) {
  return (
    <Dialog title={title} onClose={onClose}>
      <Alert color="orange" variant="light">
        Copy it now. It is shown this once; when it is lost, make another.
      </Alert>
      {values.map(([name, value]) => (
        <Stack key={name} gap={4}>
          <Text size="sm" fw={600}>
            {name}
          </Text>
          <Group wrap="nowrap" align="start">
            <Code className="secret">{value}</Code>
            <CopyButton what={name} value={value} />
          </Group>
        </Stack>
      ))}
      <Group justify="flex-end">
        <Button onClick={onClose}>I have kept it</Button>
      </Group>
    </Dialog>
  );
}

function CopyButton({ what, value }: { readonly what: string; readonly value: string }) {
  const [isCopied, setCopied] = useState(false);
  const copy = async () => {
    // Without TLS browsers have no clipboard for pages: then the text is there to be selected.
    await navigator.clipboard?.writeText(value).then(
      () => setCopied(true),
      () => setCopied(false),
    );
  };
  return (
    <Button size="compact-sm" variant="default" aria-label={`Copy ${what}`} onClick={() => void copy()}>
      {isCopied ? "Copied" : "Copy"}
    </Button>
  );
}
