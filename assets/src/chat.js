// The playground's conversation. It lives beside the page: an answer goes on while another page is looked at.
import { ApiError, events, send, session } from './api.js'
import { drafts } from './drafts.js'
import { makesMedia } from './models.js'

export const chat = drafts.chat
const RAW = 2 << 20
let stop = null

function part(file) {
  const data = file.data
  if (file.type.startsWith('image/')) return { type: 'image_url', image_url: { url: data } }
  if (file.type.startsWith('video/')) return { type: 'video_url', video_url: { url: data } }
  if (file.type.startsWith('audio/')) return { type: 'input_audio', input_audio: { data: data.slice(data.indexOf(',') + 1), format: (file.name.split('.').pop() || 'mp3').toLowerCase() } }
  return { type: 'file', file: { filename: file.name, file_data: data } }
}
function message(m) {
  const files = (m.files ?? []).map(part)
  return { role: m.role, content: files.length ? [...(m.content ? [{ type: 'text', text: m.content }] : []), ...files] : m.content }
}

// What would be sent now: up to the last question, or with what stands in the box. Throws when the tools are not JSON.
export function request(draft) {
  const turns = chat.turns.filter((m) => m.content || m.files?.length)
  if (draft && (chat.text.trim() || chat.files.length)) turns.push({ role: 'user', content: chat.text, files: chat.files })
  else while (turns.at(-1)?.role === 'assistant') turns.pop()
  const messages = turns.map(message)
  if (chat.system.trim()) messages.unshift({ role: 'system', content: chat.system })
  const tools = chat.tools.trim() ? JSON.parse(chat.tools) : undefined
  if (tools !== undefined && !Array.isArray(tools)) throw new Error('[…]')
  return { model: chat.model, messages, stream: true, stream_options: { include_usage: true }, ...(chat.size && makesMedia(chat.model) && { size: chat.size }), ...(tools?.length && { tools }) }
}

export function curl() {
  const text = JSON.stringify(request(true), null, 1).replaceAll("'", "'\\''")
  return `curl -N ${location.origin}/v1/chat/completions \\\n  -H "Authorization: Bearer ${session.key}" \\\n  -H "Content-Type: application/json" \\\n  -d '${text}'`
}

// Takes one chunk into the turn.
function take(turn, x, began) {
  const d = x.choices?.[0]?.delta ?? {}
  if (x.error) throw new ApiError(200, x.error.message, x.error.code, turn.requestId)
  if (turn.first === null && (d.content || d.reasoning_content || d.tool_calls)) turn.first = performance.now() - began
  turn.content += d.content ?? ''
  turn.thinking += d.reasoning_content ?? ''
  for (const c of d.tool_calls ?? []) {
    const call = (turn.calls[c.index] ??= { name: '', args: '' })
    call.name += c.function?.name ?? ''
    call.args += c.function?.arguments ?? ''
  }
  for (const a of d.annotations ?? []) if (a.url_citation && !turn.sources.some((s) => s.url === a.url_citation.url)) turn.sources.push({ ...a.url_citation, title: a.url_citation.title?.replaceAll('\\|', '|') }) // the title is cleaned for a table
  if (x.choices?.[0]?.finish_reason) turn.finish = x.choices[0].finish_reason
  if (x.usage) turn.usage = x.usage
}

async function answer(body) {
  const began = performance.now()
  chat.turns.push({ role: 'assistant', model: body.model, content: '', thinking: '', calls: [], sources: [], raw: '', first: null, total: null, usage: null, finish: '', requestId: null, error: null, stopped: false, late: false })
  const turn = chat.turns.at(-1) // the reactive one
  let whole = false, waiting = [], asked = 0
  const flush = () => { // once a frame, however fast the pieces come
    asked = 0
    const now = waiting
    waiting = []
    for (const [data, block] of now) {
      if (turn.raw.length < RAW) turn.raw += block + '\n\n'
      if (data === '[DONE]') whole = true
      else take(turn, JSON.parse(data), began)
    }
  }
  const soon = () => { try { flush() } catch (e) { turn.error ??= e; stop?.abort() } }
  chat.busy = true
  stop = new AbortController()
  try {
    const r = await send('POST', '/v1/chat/completions', body, { signal: stop.signal })
    turn.requestId = r.headers.get('x-request-id')
    await events(r, (data, id, block) => {
      waiting.push([data, block])
      asked ||= document.hidden ? setTimeout(soon, 50) : requestAnimationFrame(soon)
    })
    flush()
    if (!whole && !turn.error) turn.late = true
  } catch (e) {
    soon()
    if (e.name !== 'AbortError') turn.error ??= e
    else if (!turn.error) turn.stopped = true
    turn.requestId ??= e.requestId ?? null
  } finally {
    turn.total = performance.now() - began
    chat.busy = false
  }
}

export function halt() { stop?.abort() }

export function ask() {
  if (chat.busy || !chat.model || (!chat.text.trim() && !chat.files.length)) return
  const body = request(true)
  chat.turns.push({ role: 'user', content: chat.text, files: chat.files })
  chat.text = ''
  chat.files = []
  answer(body)
}

export function again() {
  const body = request(false)
  while (chat.turns.at(-1)?.role === 'assistant') chat.turns.pop()
  if (chat.turns.length) answer(body)
}

export function restart() {
  halt()
  chat.turns = []
}

export function attach(files) {
  for (const file of files) {
    const reader = new FileReader()
    reader.onload = () => chat.files.push({ name: file.name || 'file', type: file.type, size: file.size, data: reader.result })
    reader.readAsDataURL(file)
  }
}
