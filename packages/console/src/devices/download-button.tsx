/** Brings the devices of the query into a file, with the columns that are shown. */
import { Button, Group, Text } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { useRef, useState } from "react";
import type { DevicesSearch } from "../app/router.tsx";
import { Dialog } from "../parts/dialog.tsx";
import { Failure } from "../parts/notices.tsx";
import { saveFile } from "../parts/save-file.ts";
import { deviceFile, type FileColumn } from "./device-file.ts";

export interface DownloadButtonProps {
  readonly search: DevicesSearch;
  readonly columns: readonly FileColumn[];
}

export function DownloadButton({ search, columns }: DownloadButtonProps) {
  const [count, setCount] = useState(0);
  const abort = useRef<AbortController>(undefined);
  const { mutate, isPending, error, reset } = useMutation({
    mutationFn: async () => {
      abort.current = new AbortController();
      const { signal } = abort.current;
      saveFile(await deviceFile({ ...search, columns, onProgress: setCount, signal }), "devices.csv");
    },
  });
  const stop = () => {
    abort.current?.abort();
    reset();
  };
  const isStopped = error instanceof DOMException;
  return (
    <>
      <Button size="compact-sm" variant="default" disabled={isPending} onClick={() => mutate()}>
        CSV
      </Button>
      {(isPending || (error !== null && !isStopped)) && (
        <Dialog title="Devices as CSV" onClose={stop}>
          {error ? <Failure error={error} retry={() => mutate()} /> : <Text>{count.toLocaleString()} devices …</Text>}
          <Group justify="flex-end">
            <Button variant="default" onClick={stop}>
              {isPending ? "Stop" : "Close"}
            </Button>
          </Group>
        </Dialog>
      )}
    </>
  );
}
