import react from '@vitejs/plugin-react'
import { defineConfig, type ProxyOptions } from 'vite'

const server = `http://127.0.0.1:${process.env.PORT ?? 4310}`

/** Without the second line Vite would keep streams open whose server is gone, and the page would not notice for three heartbeats. */
const proxied: ProxyOptions = {
  target: server,
  configure: (proxy) => proxy.on('proxyRes', (from, _req, to) => from.on('close', () => to.destroy())),
}

export default defineConfig({
  root: 'web',
  plugins: [react()],
  build: { outDir: '../dist/web', emptyOutDir: true },
  // `npx vite` beside a running server, for work on the page.
  server: { proxy: { '/api': proxied } },
})
