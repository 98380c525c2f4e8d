// Lines of email:password[|proxy] as the server will read them, so that one sees before what it will refuse.
const email = /^[^\s:|@]+@[^\s:|]+$/
const proxy = /^(https?|socks5h?):\/\/[^\s]+$/i

// { good: [{ line, email, text }], bad: [{ line, why, text }], repeated }. Of one address the last line counts.
export function readLines(text) {
  const found = new Map(), bad = []
  let repeated = 0
  text.replace(/^\ufeff/, '').split('\n').forEach((whole, at) => {
    const t = whole.trim(), line = at + 1
    if (!t || t.startsWith('#')) return
    const pipe = t.indexOf('|'), who = pipe < 0 ? t : t.slice(0, pipe), via = pipe < 0 ? '' : t.slice(pipe + 1).trim(), colon = who.indexOf(':')
    const name = who.slice(0, colon).trim()
    const why = colon < 0 ? 'noColon' : !email.test(name) ? 'badEmail' : !who.slice(colon + 1).trim() ? 'noPassword' : via && !proxy.test(via) ? 'badProxy' : ''
    if (why) return bad.push({ line, why, text: colon < 0 ? t.slice(0, 40) : name.slice(0, 40) })
    if (found.delete(name)) repeated++
    found.set(name, { line, email: name, text: t })
  })
  return { good: [...found.values()], bad, repeated }
}

// A data.json or an array of accounts, pasted in the same place. Null: it is lines.
export function readJson(text) {
  if (!/^\s*[[{]/.test(text)) return null
  const value = JSON.parse(text), accounts = Array.isArray(value) ? value : value.accounts
  return Array.isArray(accounts) ? accounts : []
}

// Of an export those of the chosen accounts.
export function chosenOnly(text, format, emails) {
  const wanted = new Set(emails.map((e) => e.toLowerCase())), has = (name) => wanted.has(String(name ?? '').trim().toLowerCase())
  if (format === 'json') {
    const { accounts = [] } = JSON.parse(text)
    return JSON.stringify({ accounts: accounts.filter((a) => has(a.email ?? a.name)) }, null, 2)
  }
  if (format === 'txt') return text.split('\n').filter((l) => has(l.split(/[:|]/)[0])).join('\n') + '\n'
  const [head, ...rows] = text.match(/(?:[^"\n]|"(?:[^"]|"")*")+\n?/g) ?? [''] // a quoted cell may hold line ends; the first is the name
  return head + rows.filter((r) => has(r.match(/^(?:"(?:[^"]|"")*"|[^,\r\n]*)/)[0].replace(/^"|"$/g, ''))).join('')
}

// The settings of a backup, or those in a data.json.
export function readSettings(text) {
  const value = JSON.parse(text)
  return value?.settings && typeof value.settings === 'object' ? value.settings : value
}
