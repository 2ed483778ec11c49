// Browser tests: a real Chromium against a real server with simulated devices.
// Needs HEADEND_URL and HEADEND_PASSWORD; `cargo xtask test` starts the server and sets them.
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: process.env.SCREENSHOTS ? ['tests/screenshots.ts'] : ['tests/*.spec.ts'],
    environment: 'node',
    fileParallelism: false,
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
