/** Whether the screen is a phone's. */
import { useMediaQuery } from "@mantine/hooks";

/** As in console.css: from here on the navigation stands above the page. */
const NARROW = "(max-width: 48em)";

export const useNarrow = (): boolean => useMediaQuery(NARROW, false, { getInitialValueInEffect: false });
