// How the console is built and served while it is developed.
// `npm run dev` passes /api to a running server (HEADEND_URL, default http://127.0.0.1:8080).
import { fileURLToPath } from 'node:url';
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

const server = process.env.HEADEND_URL ?? 'http://127.0.0.1:8080';

export default defineConfig({
  plugins: [react()],
  resolve: { alias: { '~': fileURLToPath(new URL('./src', import.meta.url)) } },
  build: {
    target: 'es2022',
    manifest: true,
    chunkSizeWarningLimit: 600,
  },
  server: { proxy: { '/api': server } },
});
