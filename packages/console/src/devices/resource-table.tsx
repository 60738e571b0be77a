/** Resources of one object with their values, and what can be done with each. */
import type { LastValue, Observation } from "@airlift/protocol/api/operations";
import { Badge, Button, Group, Stack, TextInput } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { ActionButton } from "../parts/action-button.tsx";
import { Clipped } from "../parts/clipped.tsx";
import { Dialog } from "../parts/dialog.tsx";
import { Ago } from "../parts/instants.tsx";
import { Failure } from "../parts/notices.tsx";
import { Scrolls } from "../parts/scrolls.tsx";
import { TableHead } from "../parts/table-head.tsx";
import type { DeviceOperations } from "./operations.ts";

export interface ResourceLine {
  readonly path: string;
  readonly name: string | null;
  /** Undefined = it told none: it may be for executing or for writing only. */
  readonly value: LastValue | undefined;
}

export interface ResourceTableProps {
  readonly lines: readonly ResourceLine[];
  readonly operations: DeviceOperations;
  readonly observations: readonly Observation[];
  readonly mayAsk: boolean;
}

export const ResourceTable = ({ lines, operations, observations, mayAsk }: ResourceTableProps) => (
  <Scrolls label="Resources">
    <table className="plain">
      <TableHead names={["Path", "Name", "Value", "Told", ...(mayAsk ? ["Ask the device"] : [])]} />
      <tbody>
        {lines.map((line) => (
          <tr key={line.path} data-path={line.path}>
            <td className="mono">{line.path}</td>
            <td>{line.name ?? <span className="quiet">no model</span>}</td>
            <td className="value">
              {line.value ? <ValueText value={line.value} /> : <span className="quiet">–</span>}
            </td>
            <td>{line.value && <Ago at={line.value.receivedAt} />}</td>
            {mayAsk && (
              <td>
                <Actions
                  line={line}
                  operations={operations}
                  observation={observations.find(({ paths }) => paths.includes(line.path))}
                />
              </td>
            )}
          </tr>
        ))}
      </tbody>
    </table>
  </Scrolls>
);

function ValueText({ value: { value, unit, type } }: { readonly value: LastValue }) {
  return (
    <span title={type}>
      <Clipped text={`${value}`} length={120} /> {unit !== null && <span className="quiet">{unit}</span>}
    </span>
  );
}

interface ActionsProps {
  readonly line: ResourceLine;
  readonly operations: DeviceOperations;
  readonly observation: Observation | undefined;
}

function Actions({ line, operations, observation }: ActionsProps) {
  const { path, value } = line;
  const [isWriting, setWriting] = useState(false);
  const { mutate, error, isPending } = useMutation({ mutationFn: (act: () => Promise<unknown>) => act() });
  const named = line.name ?? path;
  return (
    <Stack gap={4}>
      <Group gap={4} wrap="nowrap">
        <Act name="Read" of={named} isBusy={isPending} onClick={() => mutate(() => operations.read(path))} />
        <Act name="Write" of={named} isBusy={isPending} onClick={() => setWriting(true)} />
        {value === undefined && (
          <ActionButton
            label={`Execute ${named}`}
            short="Execute"
            size="compact-xs"
            consequence={`The device is told to run ${path} now. What that does is the device's own: it may restart.`}
            act={() => operations.execute(path)}
          />
        )}
        {observation === undefined
          ? value !== undefined && (
              <Act
                name="Observe"
                of={named}
                isBusy={isPending}
                onClick={() => mutate(() => operations.observe(path))}
              />
            )
          : null}
        {observation && (
          <>
            <Act
              name="Leave"
              of={named}
              isBusy={isPending}
              onClick={() => mutate(() => operations.leave(observation.id))}
            />
            <Badge variant="dot" tt="none" color={observation.state === "active" ? "teal" : "gray"}>
              {observation.state === "active" ? "live" : "waiting"}
            </Badge>
          </>
        )}
      </Group>
      {error && <Failure error={error} />}
      {isWriting && <WriteDialog line={line} operations={operations} onClose={() => setWriting(false)} />}
    </Stack>
  );
}

interface ActProps {
  readonly name: string;
  /** For those who hear one button after the other. */
  readonly of: string;
  readonly isBusy: boolean;
  readonly onClick: () => void;
}

const Act = ({ name, of, isBusy, onClick }: ActProps) => (
  <Button size="compact-xs" variant="default" aria-label={`${name} ${of}`} disabled={isBusy} onClick={onClick}>
    {name}
  </Button>
);

interface WriteDialogProps {
  readonly line: ResourceLine;
  readonly operations: DeviceOperations;
  readonly onClose: () => void;
}

function WriteDialog({ line: { path, name, value }, operations, onClose }: WriteDialogProps) {
  const [text, setText] = useState(`${value?.value ?? ""}`);
  const { mutate, error, isPending } = useMutation({
    mutationFn: () => operations.write(path, text),
    onSuccess: onClose,
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    mutate();
  };
  return (
    <Dialog title={`Write ${name ?? path}`} onClose={onClose}>
      <form onSubmit={submit}>
        <Stack>
          <TextInput
            label={`Value of ${path}`}
            description={
              value ? `${value.type}${value.unit === null ? "" : `, in ${value.unit}`}` : "as its model says"
            }
            value={text}
            onChange={({ currentTarget }) => setText(currentTarget.value)}
          />
          {error && <Failure error={error} />}
          <Group justify="flex-end">
            <Button type="submit" loading={isPending}>
              Write it to the device
            </Button>
          </Group>
        </Stack>
      </form>
    </Dialog>
  );
}
