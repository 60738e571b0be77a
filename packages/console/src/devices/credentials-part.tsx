/** What a device proves itself with. Keys are shown once, when they are made, and never again. */
import type { CreatedCredential, Credential, NewCredential } from "@airlift/protocol/api/credentials";
import { Badge, Button, Group, NativeSelect, Paper, Skeleton, Stack, Text, Textarea, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { credentialsQuery, deviceOf } from "../api/queries.ts";
import { ask } from "../api/request.ts";
import { useMay } from "../api/session.ts";
import { ActionButton } from "../parts/action-button.tsx";
import { Dialog } from "../parts/dialog.tsx";
import { Ago } from "../parts/instants.tsx";
import { Empty, Failure } from "../parts/notices.tsx";
import { SecretOnce } from "../parts/secret-once.tsx";
import type { PartProps } from "./device-page.tsx";

type Way = "add" | "rotate";

export function CredentialsPart({ device: { endpoint } }: PartProps) {
  const mayChange = useMay("admin");
  const client = useQueryClient();
  const { data, error, refetch } = useQuery(credentialsQuery(endpoint));
  const [way, setWay] = useState<Way>();
  const [created, setCreated] = useState<CreatedCredential>();
  if (error && !data) return <Failure error={error} retry={() => void refetch()} />;
  if (!data) return <Skeleton height={80} />;
  const refresh = () => void client.invalidateQueries(credentialsQuery(endpoint));
  const onCreated = (credential: CreatedCredential) => {
    setWay(undefined);
    if (credential.key !== null) setCreated(credential);
    refresh();
  };
  return (
    <Stack>
      {mayChange && (
        <Group gap="xs">
          <Button size="compact-sm" variant="default" onClick={() => setWay("add")}>
            Add …
          </Button>
          {data.length > 0 && (
            <Button size="compact-sm" variant="default" onClick={() => setWay("rotate")}>
              Rotate …
            </Button>
          )}
        </Group>
      )}
      {data.length === 0 && (
        <Empty title="No credential">
          <Text c="dimmed">The device can only come in where devices without credentials may.</Text>
        </Empty>
      )}
      {data.map((credential) => (
        <CredentialPaper key={credential.id} credential={credential} mayChange={mayChange} onDone={refresh} />
      ))}
      {way && (
        <CredentialDialog way={way} endpoint={endpoint} onCreated={onCreated} onClose={() => setWay(undefined)} />
      )}
      {created && (
        <SecretOnce
          title="The device's new key"
          values={[
            ["Identity", created.identity],
            ["Key, hex", created.key ?? ""],
          ]}
          onClose={() => setCreated(undefined)}
        />
      )}
    </Stack>
  );
}

const KINDS = { psk: "Pre-shared key", rpk: "Raw public key", x509: "Certificate" } as const;

interface CredentialPaperProps {
  readonly credential: Credential;
  readonly mayChange: boolean;
  readonly onDone: () => void;
}

const CredentialPaper = ({ credential, mayChange, onDone }: CredentialPaperProps) => (
  <Paper withBorder p="sm">
    <Group justify="space-between">
      <Text>
        {KINDS[credential.kind]}{" "}
        <Badge variant="light" tt="none" color={credential.state === "active" ? "teal" : "orange"}>
          {credential.state}
        </Badge>
        {credential.purpose === "bootstrap" && " · for bootstrap only"}
      </Text>
      {mayChange && credential.state !== "withdrawn" && (
        <ActionButton
          label="Withdraw"
          color="red"
          consequence={
            `${credential.endpoint} cannot come in with this any more, from now on. A session that is open ends. If it has no ` +
            "other credential, somebody has to bring it a new one."
          }
          act={() =>
            ask(deviceOf(credential.endpoint, `/credentials/${encodeURIComponent(credential.id)}`), {
              method: "DELETE",
            })
          }
          onDone={onDone}
        />
      )}
    </Group>
    <Text size="sm" className="mono anywhere">
      {credential.identity}
    </Text>
    <Text size="xs" c="dimmed">
      made <Ago at={credential.createdAt} /> ·{" "}
      {credential.lastUsedAt === null ? "never used" : <>last used {<Ago at={credential.lastUsedAt} />}</>}
      {credential.endsAt !== null && (
        <>
          {" "}
          · ends <Ago at={credential.endsAt} />
        </>
      )}
    </Text>
  </Paper>
);

interface CredentialDialogProps {
  readonly way: Way;
  readonly endpoint: string;
  readonly onCreated: (credential: CreatedCredential) => void;
  readonly onClose: () => void;
}

function CredentialDialog({ way, endpoint, onCreated, onClose }: CredentialDialogProps) {
  const [kind, setKind] = useState<Credential["kind"]>("psk");
  const [text, setText] = useState("");
  const { mutate, error, isPending } = useMutation({
    mutationFn: (credential: NewCredential) =>
      way === "add"
        ? ask<CreatedCredential>(deviceOf(endpoint, "/credentials"), { method: "POST", body: credential })
        : ask<CreatedCredential>(deviceOf(endpoint, "/credentials/rotate"), { method: "POST", body: { credential } }),
    onSuccess: onCreated,
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    mutate(credentialOf(kind, text.trim()));
  };
  return (
    <Dialog title={way === "add" ? "Add a credential" : "Rotate the credentials"} onClose={onClose}>
      <form onSubmit={submit}>
        <Stack>
          {way === "rotate" && (
            <Text size="sm">
              The old ones stay good until the device first comes in with the new one; then they end.
            </Text>
          )}
          <NativeSelect
            label="Kind"
            value={kind}
            data={Object.entries(KINDS).map(([value, label]) => ({ value, label }))}
            onChange={({ currentTarget }) => setKind(currentTarget.value as typeof kind)}
          />
          <Given kind={kind} text={text} onChange={setText} />
          {error && <Failure error={error} />}
          <Group justify="flex-end">
            <Button type="submit" loading={isPending}>
              {way === "add" ? "Add it" : "Rotate"}
            </Button>
          </Group>
        </Stack>
      </form>
    </Dialog>
  );
}

interface GivenProps {
  readonly kind: Credential["kind"];
  readonly text: string;
  readonly onChange: (text: string) => void;
}

const Given = ({ kind, text, onChange }: GivenProps) =>
  kind === "psk" ? (
    <TextInput
      label="Identity"
      description="Empty: the server chooses one. The key is made by the server and shown once."
      value={text}
      onChange={({ currentTarget }) => onChange(currentTarget.value)}
    />
  ) : (
    <Textarea
      label={kind === "rpk" ? "Public key, PEM" : "Certificate, PEM"}
      required
      rows={8}
      value={text}
      onChange={({ currentTarget }) => onChange(currentTarget.value)}
    />
  );

function credentialOf(kind: Credential["kind"], text: string): NewCredential {
  if (kind === "rpk") return { kind, publicKeyPem: text };
  if (kind === "x509") return { kind, certificatePem: text };
  return { kind, ...(text !== "" && { identity: text }) };
}
