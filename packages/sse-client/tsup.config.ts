import { defineConfig } from 'tsup'

export default defineConfig({
  entry: { index: 'src/index.ts', react: 'src/bindings/react.tsx' },
  format: ['esm', 'cjs'],
  dts: { compilerOptions: { ignoreDeprecations: '6.0' } },
  // Bindings import the package by its published name: one EventSubscriber class in every page.
  external: [/^@entitycast\//],
  target: 'es2022',
  clean: true,
  // Rollup, which `treeshake: true` runs, drops 'use client' from the React entry. Unused code is left out by whoever bundles the page.
  treeshake: false,
})
