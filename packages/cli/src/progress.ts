/** Shows how an update goes, on stderr: a bar on a terminal, plain lines elsewhere. */
import type { Event } from "@airlift/protocol/api/schemas";
import { SingleBar } from "cli-progress";
import { say } from "./terminal.ts";
import { clockText, fitted, printable, sizeText } from "./text.ts";
import type { UploadOptions } from "./upload.ts";

export interface Progress {
  show(event: Event): void;
  /** Says something beside the progress. */
  note(line: string): void;
  /** Leaves the terminal as it was. */
  stop(): void;
}

/** Lines of plain progress are this much apart. */
const LINE_EVERY_PERCENT = 10;

export function createProgress({ isBar }: { isBar: boolean }): Progress {
  return isBar ? createBar() : createLines();
}

const UPDATE_BAR_COLUMNS = 16;
/** The bar, " 100 %  ", "976.6 KiB of 976.6 KiB  ", and the column in which some terminals go on to the next line. */
const COLUMNS_BEFORE_SENTENCE = UPDATE_BAR_COLUMNS + 8 + 24 + 1;

const besideBar = (sentence: string): string =>
  fitted(sentence, (process.stderr.columns ?? 80) - COLUMNS_BEFORE_SENTENCE);

function createBar(): Progress {
  const bar = new SingleBar({
    format: "{bar} {percentage} %  {done} of {whole}  {sentence}",
    barCompleteChar: "█",
    barIncompleteChar: "░",
    barsize: UPDATE_BAR_COLUMNS,
    hideCursor: true,
    stopOnComplete: false,
    clearOnComplete: false,
    noTTYOutput: false,
    stream: process.stderr,
  });
  let isStarted = false;
  return {
    show: (event) => {
      const { done, whole } = bytesOf(event);
      const words = { done: sizeText(done), whole: sizeText(whole), sentence: besideBar(event.sentence) };
      if (isStarted) bar.update(done, words);
      else bar.start(Math.max(1, whole), done, words);
      isStarted = true;
    },
    note: (line) => bar.update({ sentence: besideBar(line) }),
    stop: () => bar.stop(),
  };
}

function createLines(): Progress {
  let nextPercent = LINE_EVERY_PERCENT;
  return {
    show: (event) => {
      const { done, whole } = bytesOf(event);
      const percent = whole === 0 ? 0 : Math.floor((100 * done) / whole);
      const time = clockText(event.at, Date.now());
      if (event.kind !== "update.progress") say(`${time}  ${printable(event.sentence)}`);
      else if (percent >= nextPercent) say(`${time}  ${percent} %, ${sizeText(done)} of ${sizeText(whole)}`);
      else return;
      nextPercent = (Math.floor(percent / LINE_EVERY_PERCENT) + 1) * LINE_EVERY_PERCENT;
    },
    note: say,
    stop: () => {},
  };
}

/** For `uploadImage`: a bar on a terminal, silence elsewhere but for what an operator should know. */
export function uploadDisplay(): Pick<UploadOptions, "onProgress" | "onPause"> {
  if (process.stderr.isTTY !== true) return { onPause: (reason) => say(`the upload pauses: ${reason}`) };
  const bar = new SingleBar({
    format: "{bar} {percentage} %  {done} of {whole}  {note}",
    barCompleteChar: "█",
    barIncompleteChar: "░",
    barsize: 30,
    hideCursor: true,
    stream: process.stderr,
  });
  let isStarted = false;
  return {
    onProgress: (sentBytes, wholeBytes) => {
      const words = { done: sizeText(sentBytes), whole: sizeText(wholeBytes), note: "" };
      if (isStarted) bar.update(sentBytes, words);
      else bar.start(wholeBytes, sentBytes, words);
      isStarted = true;
      if (sentBytes === wholeBytes) bar.stop();
    },
    onPause: (reason) => bar.update({ note: `pauses: ${reason}`.slice(0, 60) }),
  };
}

function bytesOf({ facts }: Event): { done: number; whole: number } {
  const numberOf = (value: unknown) => (typeof value === "number" ? value : 0);
  return { done: numberOf(facts["acknowledgedBytes"]), whole: numberOf(facts["totalBytes"]) };
}
