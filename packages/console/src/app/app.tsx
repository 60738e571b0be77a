/** What every page stands in: theme, server state, routes. */
import { createTheme, MantineProvider, NativeSelect } from "@mantine/core";
import { QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { queryClient } from "../api/query-client.ts";
import { router } from "./router.tsx";

/** The arrow of a select says nothing that its role does not. */
const THEME = createTheme({
  components: { NativeSelect: NativeSelect.extend({ defaultProps: { rightSectionProps: { "aria-hidden": true } } }) },
});

// No `<style>` elements from Mantine: the page's policy refuses inline styles, and the default variables come as a file.
export const App = () => (
  <MantineProvider theme={THEME} defaultColorScheme="auto" withCssVariables={false} withGlobalClasses={false}>
    <QueryClientProvider client={queryClient}>
      <RouterProvider router={router} />
    </QueryClientProvider>
  </MantineProvider>
);
