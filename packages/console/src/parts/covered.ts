/** Whether the sign-in stands before the page: it is kept as it is, and shows nothing meanwhile. */
import { createContext, useContext } from "react";

export const Covered = createContext(false);

export const useCovered = (): boolean => useContext(Covered);
