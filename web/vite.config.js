import { defineConfig } from "vite";

// One page, one script, one stylesheet, under names that stay: the built files are committed.
export default defineConfig({
  base: "/",
  build: {
    outDir: "../src/vecspeak/server/page",
    emptyOutDir: true,
    target: "es2022",
    modulePreload: false,
    cssCodeSplit: false,
    rollupOptions: {
      output: { entryFileNames: "page/page.js", assetFileNames: "page/page[extname]", codeSplitting: false },
    },
  },
  test: { environment: "node", include: ["test/**/*.test.ts"] },
});
