/// <reference types="vitest/config" />
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// Addresses are relative, so that the page works under any path prefix a proxy shows it at.
export default defineConfig({
  base: "./",
  plugins: [react()],
  build: {
    // Those of the libraries that are in the bundle; their licences want to go along.
    license: { fileName: "licenses.md" },
    target: "es2022",
    // Nothing may be inlined: the Content-Security-Policy allows files from here only.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: {
    proxy: Object.fromEntries(
      ["/events", "/health", "/session", "/subscriptions", "/webhooks", "/dead-letters"].map(
        (path) => [path, "http://127.0.0.1:8765"],
      ),
    ),
  },
  test: { restoreMocks: true, unstubGlobals: true },
});
