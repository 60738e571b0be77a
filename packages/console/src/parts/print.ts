/** Paper is light, whatever the screen is: dark pages would print their pale letters on it. */
const SCHEME = "data-mantine-color-scheme";

/** From now on; to be called once. */
export function printInLight(): void {
  const root = document.documentElement;
  let onScreen: string | null = null;
  addEventListener("beforeprint", () => {
    onScreen = root.getAttribute(SCHEME);
    root.setAttribute(SCHEME, "light");
  });
  addEventListener("afterprint", () => {
    if (onScreen !== null) root.setAttribute(SCHEME, onScreen);
  });
}
