/** Counts in sentences, so that one of something reads as one. */

/** "1 message", "2 messages"; `several` is how more than one, or none, reads: `countText(2, "device is", "devices are")`. */
export const countText = (count: number, one: string, several = `${one}s`): string =>
  `${count} ${count === 1 ? one : several}`;
