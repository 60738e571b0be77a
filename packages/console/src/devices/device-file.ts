/** The devices of a query as a file of comma-separated values, a page at a time. */
import { encodeCsvLine } from "@airlift/protocol/api/csv";
import type { Device } from "@airlift/protocol/api/schemas";
import { type Page, pathOf } from "../api/queries.ts";
import { ask } from "../api/request.ts";
import type { DevicesSearch } from "../app/router.tsx";

export interface FileColumn {
  readonly key: string;
  readonly text: (device: Device) => string;
}

export interface DeviceFileOptions extends DevicesSearch {
  readonly columns: readonly FileColumn[];
  /** Called with the devices written so far. */
  readonly onProgress: (count: number) => void;
  readonly signal: AbortSignal;
}

/** The most that the API gives at a time. */
const PAGE_ROWS = 1000;

/** Without it a spreadsheet takes UTF-8 for the alphabet of its own system. */
const BYTE_ORDER_MARK = "\uFEFF";

/** @throws {ApiError}. @throws {DOMException} AbortError */
export async function deviceFile({ columns, onProgress, signal, ...search }: DeviceFileOptions): Promise<Blob> {
  const lineOf = (values: readonly string[]) => `${encodeCsvLine(values)}\r\n`;
  const parts: string[] = [BYTE_ORDER_MARK, lineOf(columns.map(({ key }) => key))];
  let count = 0;
  let cursor: string | undefined;
  do {
    const path = pathOf("devices", { ...search, limit: PAGE_ROWS, cursor });
    const page: Page<Device> = await ask(path, { signal });
    parts.push(page.items.map((device) => lineOf(columns.map(({ text }) => text(device)))).join(""));
    count += page.items.length;
    onProgress(count);
    cursor = page.next ?? undefined;
  } while (cursor !== undefined);
  return new Blob(parts, { type: "text/csv;charset=utf-8" });
}
