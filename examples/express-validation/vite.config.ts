import react from '@vitejs/plugin-react'
import { defineConfig, type ProxyOptions } from 'vite'

/** `npm run dev` serves the page with hot reload and leaves everything else to the server that `npm start` runs. */
const server = 'http://127.0.0.1:4320'

/** Without the second line Vite would keep streams open whose server is gone, and the page would not notice for three heartbeats. */
const proxied: ProxyOptions = {
  target: server,
  configure: (proxy) => proxy.on('proxyRes', (from, _req, to) => from.on('close', () => to.destroy())),
}

export default defineConfig({
  root: 'web',
  plugins: [react()],
  build: { outDir: '../dist/web', emptyOutDir: true },
  server: { proxy: { '/api': proxied, '/events': proxied } },
})
