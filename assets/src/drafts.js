// What was typed and is not sent yet. Lives as long as the tab, so that going to another page loses nothing.
import { reactive } from 'vue'

export const drafts = reactive({
  search: { text: '', status: '', page: 1, pageSize: 20, sort: 'email', order: 'asc' },
  account: { kind: 'web', email: '', password: '', token: '', proxy: '', note: '', name: '', apiKey: '', baseUrl: '', models: '', serves: ['cli', 'embeddings'], credentials: '' },
  edits: {},
  many: { text: '' },
  import: { text: '', mode: 'merge' },
  bulkProxy: '',
  key: { name: '', apiKey: '', limits: {} },
  keyEdits: {},
  settings: {},
  chat: { model: '', system: '', text: '', files: [], turns: [], tools: '', size: '', busy: false },
  aliases: null,
  settingsView: { filter: '', only: '' },
  logs: { level: '', module: '', q: '' },
  stats: { range: '24h', by: 'model' },
})
