// Numbers and times in the reader's language. Times of the API are seconds.
import { i18n } from './i18n.js'

const language = () => i18n.global.locale.value
export const number = (n) => (n === null || n === undefined ? '-' : new Intl.NumberFormat(language()).format(n))
export const short = (n) => (n === null || n === undefined ? '-' : new Intl.NumberFormat(language(), { notation: 'compact', maximumFractionDigits: 1 }).format(n))
export const percent = (part, all) => (all ? new Intl.NumberFormat(language(), { style: 'percent', maximumFractionDigits: 1 }).format(part / all) : '-')
export const time = (s) => (s ? new Intl.DateTimeFormat(language(), { dateStyle: 'short', timeStyle: 'medium' }).format(s * 1000) : '-')
export const clock = (s) => new Intl.DateTimeFormat(language(), { timeStyle: 'medium' }).format(s * 1000)
export const ms = (n) => (n === null || n === undefined ? '-' : n < 1000 ? `${Math.round(n)} ms` : `${(n / 1000).toFixed(1)} s`)

const steps = [['day', 86400], ['hour', 3600], ['minute', 60], ['second', 1]]
export function relative(s, now = Date.now() / 1000, style = 'long') {
  if (!s) return '-'
  const d = s - now, [unit, length] = steps.find(([, n]) => Math.abs(d) >= n) || steps[3]
  return new Intl.RelativeTimeFormat(language(), { numeric: 'auto', style }).format(Math.round(d / length), unit)
}

export const ago = (s) => relative(s, undefined, 'short') // for tables

export function csv(rows) {
  const cell = (v) => { const t = String(v ?? ''); return /[",\n]/.test(t) ? `"${t.replaceAll('"', '""')}"` : /^[=+@-]\D/.test(t) ? `'${t}` : t }
  return rows.map((r) => r.map(cell).join(',')).join('\r\n') + '\r\n'
}

// A span of seconds as 0:42, 12:05 or 3:07:00, with days in front when it is that long.
export function left(s) {
  const n = Math.max(0, Math.round(s)), two = (v) => String(v).padStart(2, '0'), days = Math.floor(n / 86400), hours = Math.floor(n / 3600) % 24
  const rest = `${two(Math.floor(n / 60) % 60)}:${two(n % 60)}`
  if (days) return `${new Intl.NumberFormat(language(), { style: 'unit', unit: 'day', unitDisplay: 'long' }).format(days)} ${hours}:${rest}`
  return hours ? `${hours}:${rest}` : rest.replace(/^0/, '')
}

// A point of a time axis: the hour or the day; long with both.
export function axisTime(s, hours, long) {
  if (s === undefined || s === null) return '-'
  const form = hours ? { hour: '2-digit', minute: '2-digit', ...(long && { month: 'short', day: 'numeric' }) } : { month: 'numeric', day: 'numeric', ...(long && { year: 'numeric' }) }
  return new Intl.DateTimeFormat(language(), { ...form, hourCycle: 'h23' }).format(s * 1000)
}
