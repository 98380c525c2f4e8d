import { defineConfig } from 'vite'
import vue from '@vitejs/plugin-vue'
import { writeFileSync } from 'node:fs'

// Leaves the names of the packages of which anything came into the script in the file UI_PARTS, for the list of a release's parts.
const parts = {
  name: 'parts',
  generateBundle(options, bundle) {
    if (!process.env.UI_PARTS) return
    const used = Object.values(bundle).flatMap((b) => Object.entries(b.modules ?? {})).filter(([, m]) => m.renderedLength > 0)
    const names = used.map(([id]) => /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(id)?.[1]).filter(Boolean)
    writeFileSync(process.env.UI_PARTS, [...new Set(names)].sort().join('\n') + '\n')
  },
}

// One script and one sheet with plain names: tools/mkassets.c gives them their content hashes.
export default defineConfig({
  plugins: [vue(), parts],
  define: {
    __VUE_OPTIONS_API__: false,
    __VUE_PROD_DEVTOOLS__: false,
    __VUE_I18N_FULL_INSTALL__: false,
    __VUE_I18N_LEGACY_API__: false,
    __INTLIFY_PROD_DEVTOOLS__: false,
    __INTLIFY_DROP_MESSAGE_COMPILER__: false,
  },
  build: {
    outDir: process.env.UI_OUT || '../build/ui',
    emptyOutDir: true,
    cssCodeSplit: false,
    modulePreload: false,
    assetsInlineLimit: 0,
    rollupOptions: {
      output: { entryFileNames: 'app.js', assetFileNames: '[name][extname]', inlineDynamicImports: true },
    },
  },
})
