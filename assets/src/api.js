// The only place that builds addresses and sends the key. Errors carry the server's words and the request's id.
import { reactive } from 'vue'
import { keepDrop, keepRead, keepWrite } from './keep.js'

export const session = reactive({ key: keepRead('q2a.key') || '', admin: keepRead('q2a.admin') === 'yes', down: false, back: 0 })

export class ApiError extends Error {
  constructor(status, message, code, requestId) {
    super(message)
    Object.assign(this, { status, code, requestId })
  }
}

let signedOut = () => {}
export const onSignedOut = (tell) => { signedOut = tell }

export function signOut() {
  Object.assign(session, { key: '', admin: false })
  keepDrop('q2a.key')
  keepDrop('q2a.admin')
}

// The server was away: asks until it answers. `session.back` counts how often it came back; what a page loads once, it then loads again.
let asking = false
const here = () => { if (session.down) { session.down = false; session.back++ } }
async function away() {
  session.down = true
  if (asking) return
  asking = true
  while (session.down) {
    await new Promise((r) => setTimeout(r, 1000))
    try { if ((await fetch('/healthz', { cache: 'no-store', credentials: 'omit' })).ok) here() } catch { /* still away */ }
  }
  asking = false
}

async function failure(r) {
  const text = await r.text().catch(() => '')
  let body = null
  try { body = JSON.parse(text) } catch { /* not ours: a proxy's page, perhaps */ }
  const e = body?.error ?? {}
  return new ApiError(r.status, e.message || body?.message || `HTTP ${r.status} ${r.statusText}`, e.code, r.headers.get('x-request-id'))
}

export async function send(method, path, body, { signal, key = session.key, more = {} } = {}) {
  const headers = { ...more }
  if (key) headers.authorization = `Bearer ${key}`
  if (body !== undefined) headers['content-type'] = 'application/json'
  let r
  try {
    r = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body), signal, cache: 'no-store', credentials: 'omit' })
  } catch (e) {
    if (e.name !== 'AbortError') away()
    throw e.name === 'AbortError' ? e : new ApiError(0, e.message, 'unreachable', null)
  }
  here()
  if (r.ok) return r
  const e = await failure(r)
  if (e.status === 401 && session.key && key === session.key && path !== '/verify') signedOut()
  throw e
}

const read = async (r) => { const text = await r.text(); return text ? JSON.parse(text) : null }
const query = (o) => { const q = new URLSearchParams(Object.entries(o).filter(([, v]) => v !== '' && v !== null && v !== undefined)); return q.size ? `?${q}` : '' }
const get = async (path, o = {}, options) => read(await send('GET', path + query(o), undefined, options))
const post = async (path, body = {}, options) => read(await send('POST', path, body, options))

export async function signIn(key, lasting) {
  const r = await read(await send('POST', '/verify', { apiKey: key }, { key: '' }))
  Object.assign(session, { key, admin: r.isAdmin })
  keepWrite('q2a.key', key, lasting)
  keepWrite('q2a.admin', r.isAdmin ? 'yes' : 'no', lasting)
  return r.isAdmin
}

export const api = {
  overview: (o) => get('/api/overview', {}, o),
  doctor: () => get('/api/doctor'),
  models: () => get('/models'),
  modelList: async () => { const r = await send('GET', '/models'); return { source: r.headers.get('x-qwen2api-models'), data: (await read(r)).data } },
  refreshModels: () => post('/api/models/refresh'),
  accounts: (q) => get('/api/getAllAccounts', q),
  addAccount: (a) => post('/api/setAccount', a),
  accountHistory: (emails, days) => get('/api/accountStats', { days, emails: emails.join(',') }),
  addAccounts: (accounts) => post('/api/setAccounts', { accounts, async: true }),
  task: (id) => get(`/api/batchTasks/${encodeURIComponent(id)}`),
  taskEvents: (id, o) => send('GET', `/api/batchTasks/${encodeURIComponent(id)}/events`, undefined, o),
  tasks: () => get('/api/batchTasks'),
  cancelTask: async (id) => read(await send('DELETE', `/api/batchTasks/${encodeURIComponent(id)}`)),
  deleteAccounts: async (body) => read(await send('DELETE', '/api/deleteAccount', body)),
  refreshAccount: (email) => post('/api/refreshAccount', { email }),
  refreshAllAccounts: () => post('/api/forceRefreshAllAccounts'),
  setProxy: (email, proxy) => post('/api/updateAccountProxy', { email, proxy }),
  explain: (q) => get('/api/explain', q),
  updateAccount: (body) => post('/api/updateAccount', body),
  enableAccounts: (emails, enabled) => post('/api/setAccountEnabled', { emails, enabled }),
  clearCooldown: (email) => post('/api/clearCooldown', { email }),
  testAccount: (body) => post('/api/testAccount', body),
  accountSecret: (email) => get('/api/accountSecret', { email }),
  exportAccounts: async (q) => (await send('GET', '/api/export' + query(q))).text(),
  importAccounts: (body, q) => post('/api/import' + query(q), body),
  keys: () => get('/api/keys'),
  addKey: (body) => post('/api/addRegularKey', body),
  updateKey: async (id, body) => read(await send('PATCH', `/api/keys/${encodeURIComponent(id)}`, body)),
  deleteKey: (id) => post('/api/deleteRegularKey', { id }),
  settings: () => get('/api/settings'),
  schema: () => get('/api/settings/schema'),
  saveSettings: async (changes) => read(await send('PATCH', '/api/settings', changes)),
  resetSettings: (names) => post('/api/settings/reset', names ? { names } : {}),
  reload: () => post('/api/reload'),
  restart: () => post('/api/restart'),
  testProxy: (proxy) => post('/api/testProxy', { proxy }),
  testRedis: (url) => post('/api/testRedis', { url }),
  stats: (q) => get('/api/stats', q),
  requests: (limit = 100) => get('/api/requests', { limit }),
  logs: (q, o) => get('/api/logs', q, o),
  logStream: (q, last, signal) => send('GET', '/api/logs/stream' + query(q), undefined, { signal, more: last ? { 'last-event-id': last } : {} }),
  licences: async () => (await send('GET', '/api/licenses')).text(),
}

// Reads server-sent events from an answer: calls each(data, id, raw) until the stream ends or `signal` fires.
export async function events(r, each) {
  const reader = r.body.getReader(), text = new TextDecoder()
  let rest = ''
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      rest += text.decode(value, { stream: true })
      const blocks = rest.split(/\r?\n\r?\n/)
      rest = blocks.pop()
      for (const block of blocks) event(block, each)
    }
  } finally { reader.cancel().catch(() => {}) }
}

function event(block, each) {
  const data = []
  let id = null
  for (const line of block.split(/\r?\n/)) {
    if (line.startsWith('data:')) data.push(line.slice(5).replace(/^ /, ''))
    else if (line.startsWith('id:')) id = line.slice(3).trim()
  }
  if (data.length) each(data.join('\n'), id, block)
}
