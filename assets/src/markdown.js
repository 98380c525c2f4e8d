// Cuts markdown into parts that a template writes as text: fences, pictures, bold, code, links. No HTML is ever made.
const web = (url) => /^https?:\/\//i.test(url) || /^\/(?!\/)/.test(url)

function spans(text) {
  const out = [], mark = /\*\*([^*\n]+)\*\*|`([^`\n]+)`|\[([^\]\n]+)\]\(([^)\s]+)\)/g
  let from = 0
  for (const m of text.matchAll(mark)) {
    if (m[4] && !web(m[4])) continue
    if (m.index > from) out.push({ kind: 'text', text: text.slice(from, m.index) })
    out.push(m[1] ? { kind: 'strong', text: m[1] } : m[2] ? { kind: 'code', text: m[2] } : { kind: 'link', text: m[3], url: m[4] })
    from = m.index + m[0].length
  }
  if (from < text.length) out.push({ kind: 'text', text: text.slice(from) })
  return out
}

export function blocks(text) {
  const out = []
  text.split(/^```/m).forEach((piece, i) => {
    if (i % 2) {
      out.push({ kind: 'code', text: piece.slice(piece.indexOf('\n') + 1) })
      return
    }
    let from = 0
    for (const m of piece.matchAll(/!\[([^\]\n]*)\]\(([^)\s]+)\)/g)) {
      if (!web(m[2])) continue
      if (m.index > from) out.push({ kind: 'text', spans: spans(piece.slice(from, m.index)) })
      out.push({ kind: 'picture', text: m[1], url: m[2] })
      from = m.index + m[0].length
    }
    if (piece.slice(from)) out.push({ kind: 'text', spans: spans(piece.slice(from)) })
  })
  return out
}
