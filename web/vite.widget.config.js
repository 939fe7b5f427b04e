import { defineConfig } from "vite";

// The notebook's widget: one module with its styles in it, as anywidget takes it.
export default defineConfig({
  build: {
    outDir: "../src/vecspeak/notebook/static",
    emptyOutDir: true,
    target: "es2022",
    modulePreload: false,
    rollupOptions: {
      input: "src/widget/main.ts",
      preserveEntrySignatures: "strict",
      output: { format: "es", entryFileNames: "widget.js", codeSplitting: false },
    },
  },
});
