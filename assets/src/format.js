// Numbers and times in the reader's language. Times of the API are seconds.
import { i18n } from './i18n.js'

const language = () => i18n.global.locale.value
export const number = (n) => (n === null || n === undefined ? '-' : new Intl.NumberFormat(language()).format(n))
export const short = (n) => (n === null || n === undefined ? '-' : new Intl.NumberFormat(language(), { notation: 'compact', maximumFractionDigits: 1 }).format(n))
export const percent = (part, all) => (all ? new Intl.NumberFormat(language(), { style: 'percent', maximumFractionDigits: 1 }).format(part / all) : '-')
export const time = (s) => (s ? new Intl.DateTimeFormat(language(), { dateStyle: 'short', timeStyle: 'medium' }).format(s * 1000) : '-')
export const ms = (n) => (n === null || n === undefined ? '-' : n < 1000 ? `${Math.round(n)} ms` : `${(n / 1000).toFixed(1)} s`)

const steps = [['day', 86400], ['hour', 3600], ['minute', 60], ['second', 1]]
export function relative(s, now = Date.now() / 1000) {
  if (!s) return '-'
  const d = s - now, [unit, length] = steps.find(([, n]) => Math.abs(d) >= n) || steps[3]
  return new Intl.RelativeTimeFormat(language(), { numeric: 'auto' }).format(Math.round(d / length), unit)
}

export function csv(rows) {
  const cell = (v) => { const t = String(v ?? ''); return /[",\n]/.test(t) ? `"${t.replaceAll('"', '""')}"` : /^[=+@-]\D/.test(t) ? `'${t}` : t }
  return rows.map((r) => r.map(cell).join(',')).join('\r\n') + '\r\n'
}
