import { defineConfig } from 'tsup'

export default defineConfig({
  // Only `index` is published. The others are entries so that the schemas end up in a file without anything else in it:
  // whoever bundles a page that needs no schema then leaves valibot out.
  entry: { index: 'src/index.ts', schema: 'src/schema.ts', control: 'src/control.ts', codec: 'src/codec.ts' },
  format: ['esm', 'cjs'],
  dts: { entry: { index: 'src/index.ts' }, compilerOptions: { ignoreDeprecations: '6.0' } },
  target: 'es2022',
  clean: true,
  treeshake: true,
})
