/** Builds the console into dist/, which `airlift serve` hands out under a policy that allows no inline code. */
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

export default defineConfig({
  root: import.meta.dirname,
  plugins: [react()],
  // Inlined files would be data: URLs, which the policy refuses but for images.
  build: { outDir: "dist", emptyOutDir: true, assetsInlineLimit: 0, modulePreload: { polyfill: false } },
  server: { proxy: { "/api": process.env["AIRLIFT_URL"] ?? "http://127.0.0.1:8080" } },
});
