import { defineConfig } from "vite";

// The page of benchmarks/page_map.py; it is not served by vecspeak.
export default defineConfig({ root: "bench", base: "./", build: { target: "es2022", emptyOutDir: true } });
