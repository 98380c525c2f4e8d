// Markdown as a tree of plain parts, which Marked.js turns into elements. No HTML is ever made, so HTML in a text stays text.
const web = (url) => /^https?:\/\//i.test(url) || /^\/(?!\/)/.test(url)
const mark = /!\[([^[\]\n]{0,500})\]\((\S+?)\)|\[((?:[^[\]\n]|\[[^[\]\n]{0,200}\]){1,500})\]\(([^()\s]+(?:\([^()\s]*\)[^()\s]*)*)\)|(`+)([^\n]*?[^`\n])\5(?!`)|\*\*(?=\S)([^\n]*?\S)\*\*|~~([^~\n]+)~~|(?<![\w*])\*(?=[^\s*])([^*\n]*[^\s*])\*(?![\w*])|(?<![\w_])_(?=[^\s_])([^_\n]*[^\s_])_(?![\w_])|https?:\/\/[^\s<>"'`|]*[^\s<>"'`|.,;:!?)\]}，。；：！？）]/g

export function spans(text) {
  const out = []
  let from = 0
  for (const m of text.matchAll(mark)) {
    const [all, pictureText, picture, name, url, , code, strong, gone, em, em2] = m
    const part = picture !== undefined ? web(picture) && { kind: 'picture', text: pictureText, url: picture }
      : url !== undefined ? web(url) && { kind: 'link', spans: spans(name), url }
      : code !== undefined ? { kind: 'code', text: code.trim() || code }
      : strong !== undefined ? { kind: 'strong', spans: spans(strong) }
      : gone !== undefined ? { kind: 'del', spans: spans(gone) }
      : em ?? em2 ? { kind: 'em', spans: spans(em ?? em2) }
      : { kind: 'link', spans: [{ kind: 'text', text: all }], url: all }
    if (!part) continue
    if (m.index > from) out.push({ kind: 'text', text: text.slice(from, m.index) })
    out.push(part)
    from = m.index + all.length
  }
  if (from < text.length) out.push({ kind: 'text', text: text.slice(from) })
  return out
}

const fence = /^ {0,3}(`{3,}|~{3,})\s*([^\s`]*)/, heading = /^(#{1,6})\s+(.*?)\s*#*$/, rule = /^ {0,3}([-*_])(\s*\1){2,}\s*$/
const item = /^(\s*)([-*+]|\d{1,9}[.)])\s+(.*)$/, dashes = /^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/
const cells = (line) => line.trim().replace(/^\||\|$/g, '').split(/(?<!\\)\|/).map((c) => c.trim().replaceAll('\\|', '|'))
const indent = (line) => line.length - line.trimStart().length
const DEEP = 12

// One list: items at the first one's indent; what stands deeper belongs to the item above.
function list(lines, at, deep) {
  const [, first, sign] = lines[at].match(item), ordered = /\d/.test(sign), items = []
  while (at < lines.length) {
    const m = lines[at].match(item)
    if (m && m[1].length <= first.length + 1 && /\d/.test(m[2]) === ordered && m[1].length >= first.length - 1) {
      const own = [m[3]], edge = m[1].length + m[2].length
      at++
      while (at < lines.length && (indent(lines[at]) > first.length + 1 || (lines[at].trim() === '' && at + 1 < lines.length && indent(lines[at + 1]) > first.length + 1))) {
        own.push(lines[at].slice(Math.min(indent(lines[at]), edge + 1)))
        at++
      }
      items.push(blocks(own, deep + 1))
    } else if (lines[at].trim() === '' && at + 1 < lines.length && item.test(lines[at + 1])) {
      at++
    } else break
  }
  return [{ kind: 'list', ordered, start: Number(sign.slice(0, -1)) || 1, items }, at]
}

function table(lines, at) {
  const head = cells(lines[at]).map(spans), rows = []
  for (at += 2; at < lines.length && lines[at].includes('|'); at++) rows.push(cells(lines[at]).map(spans))
  return [{ kind: 'table', head, rows }, at]
}

const starts = (lines, at) => fence.test(lines[at]) || heading.test(lines[at]) || rule.test(lines[at]) || item.test(lines[at]) || /^\s*>/.test(lines[at]) ||
  lines[at].startsWith('<video') || (lines[at].includes('|') && at + 1 < lines.length && dashes.test(lines[at + 1]))

export function blocks(text, deep = 0) {
  const lines = Array.isArray(text) ? text : text.split(/\r?\n/), out = []
  for (let at = 0; at < lines.length;) {
    const line = lines[at]
    let m
    if (line.trim() === '') {
      at++
    } else if ((m = line.match(fence))) {
      const end = lines.findIndex((l, i) => i > at && l.trim().startsWith(m[1]) && !l.trim().replaceAll(m[1][0], ''))
      out.push({ kind: 'code', language: m[2], text: lines.slice(at + 1, end < 0 ? undefined : end).join('\n') })
      at = end < 0 ? lines.length : end + 1
    } else if ((m = line.match(heading))) {
      out.push({ kind: 'heading', level: m[1].length, spans: spans(m[2]) })
      at++
    } else if (rule.test(line)) {
      out.push({ kind: 'rule' })
      at++
    } else if (line.startsWith('<video') && web(lines[at + 1]?.trim() ?? '') && lines[at + 2]?.startsWith('</video>')) {
      out.push({ kind: 'picture', text: '', url: lines[at + 1].trim() })
      at += 3
    } else if (/^\s*>/.test(line) && deep < DEEP) {
      const own = []
      for (; at < lines.length && /^\s*>/.test(lines[at]); at++) own.push(lines[at].replace(/^\s*> ?/, ''))
      out.push({ kind: 'quote', blocks: blocks(own, deep + 1) })
    } else if (item.test(line) && deep < DEEP) {
      let part
      [part, at] = list(lines, at, deep)
      out.push(part)
    } else if (line.includes('|') && at + 1 < lines.length && dashes.test(lines[at + 1])) {
      let part
      [part, at] = table(lines, at)
      out.push(part)
    } else {
      const own = [line]
      for (at++; at < lines.length && lines[at].trim() !== '' && !starts(lines, at); at++) own.push(lines[at])
      out.push({ kind: 'text', spans: spans(own.join('\n')) })
    }
  }
  return out
}
