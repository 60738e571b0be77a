/** What a viewer chose, kept in their browser alone. */
import { useState } from "react";

/** A value under `airlift.<key>`; what cannot be read any more is as if it had never been there. */
export function useStored<Value>(key: string, initial: Value): [Value, (value: Value) => void] {
  const [value, setValue] = useState(() => readStored(key, initial));
  const keep = (next: Value) => {
    setValue(next);
    writeStored(key, next);
  };
  return [value, keep];
}

export function readStored<Value>(key: string, initial: Value): Value {
  try {
    const text = localStorage.getItem(`airlift.${key}`);
    return text === null ? initial : (JSON.parse(text) as Value);
  } catch {
    return initial;
  }
}

/** @param value Undefined = forget it. */
export function writeStored(key: string, value: unknown): void {
  try {
    if (value === undefined) localStorage.removeItem(`airlift.${key}`);
    else localStorage.setItem(`airlift.${key}`, JSON.stringify(value));
  } catch {
    // A browser that keeps nothing forgets the choice with the page.
  }
}
