// Warns before the tab is closed or loaded anew while something that was typed is not saved. (Another page of ours loses nothing.)
import { drafts } from './drafts.js'

const any = (o) => Object.values(o).some((v) => (typeof v === 'object' && v ? any(v) : v !== '' && v !== undefined && v !== null))
export function unsaved() {
  const { account: a, key, many, import: file } = drafts
  return Object.keys(drafts.settings).length > 0 || Object.keys(drafts.edits).length > 0 || Object.keys(drafts.keyEdits).length > 0 || any(key) ||
    [many.text, file.text, a.email, a.password, a.token, a.name, a.apiKey, a.credentials, a.note].some((t) => t.trim())
}
window.addEventListener('beforeunload', (e) => { if (unsaved()) e.preventDefault() })
