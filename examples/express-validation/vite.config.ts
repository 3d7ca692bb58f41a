import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'

/** `npm run dev` serves the page with hot reload and leaves everything else to the server that `npm start` runs. */
const server = 'http://127.0.0.1:4320'

export default defineConfig({
  root: 'web',
  plugins: [react()],
  build: { outDir: '../dist/web', emptyOutDir: true },
  server: { proxy: { '/api': server, '/events': server } },
})
