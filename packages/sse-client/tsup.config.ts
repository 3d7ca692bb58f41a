import { defineConfig } from 'tsup'

export default defineConfig({
  entry: {
    index: 'src/index.ts',
    react: 'src/bindings/react.tsx',
    'tanstack-query': 'src/bindings/tanstack-query.ts',
    rxjs: 'src/bindings/rxjs.ts',
    angular: 'src/bindings/angular.ts',
    vue: 'src/bindings/vue.ts',
    svelte: 'src/bindings/svelte.ts',
    solid: 'src/bindings/solid.ts',
    'event-source': 'src/bindings/event-source.ts',
    tabs: 'src/bindings/tabs.ts',
    node: 'src/bindings/node.ts',
    testing: 'src/bindings/testing.ts',
  },
  format: ['esm', 'cjs'],
  dts: { compilerOptions: { ignoreDeprecations: '6.0' } },
  // Bindings import the package by its published name: one EventSubscriber class in every page.
  external: [/^@entitycast\//],
  target: 'es2022',
  clean: true,
  // Rollup, which `treeshake: true` runs, drops 'use client' from the React entry. Unused code is left out by whoever bundles the page.
  treeshake: false,
})
