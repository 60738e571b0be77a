/** Serial ports through the optional `serialport` package. */
import type { Duplex } from "node:stream";
import { EnvironmentError } from "@airlift/protocol/lib/errors";

export const DEFAULT_BAUD_RATE = 115_200;

/**
 * Opens a port with 8 data bits, no parity, no flow control.
 *
 * @throws {EnvironmentError} `SERIAL_MISSING` without the package; `SERIAL_PORT` when the port cannot be opened.
 */
export async function openSerialPort(path: string, baudRate: number): Promise<Duplex> {
  const { SerialPort } = await load();
  return new Promise((resolve, reject) => {
    const port = new SerialPort({ path, baudRate, autoOpen: false });
    port.open((cause) => {
      if (cause) reject(new EnvironmentError("SERIAL_PORT", `${path}: ${cause.message}`, { path }, { cause }));
      else resolve(port);
    });
  });
}

async function load(): Promise<typeof import("serialport")> {
  try {
    return await import("serialport");
  } catch (cause) {
    throw new EnvironmentError("SERIAL_MISSING", "serial ports need the optional package serialport", {}, { cause });
  }
}
