// A tree of markdown.js as elements. Text goes in as text.
import { h } from 'vue'
import Picture from './Picture.vue'

const span = (s) => {
  switch (s.kind) {
    case 'text': return s.text
    case 'code': return h('code', s.text)
    case 'link': return h('a', { href: s.url, rel: 'noopener noreferrer', target: '_blank' }, s.spans.map(span))
    case 'picture': return h(Picture, { key: s.url, url: s.url, alt: s.text })
    default: return h(s.kind, s.spans.map(span))
  }
}
const block = (b) => {
  switch (b.kind) {
    case 'code': return h('pre', { tabindex: 0 }, h('code', b.text))
    case 'heading': return h('p', { class: `heading h${b.level}` }, h('strong', b.spans.map(span)))
    case 'rule': return h('hr')
    case 'picture': return h(Picture, { key: b.url, url: b.url, alt: b.text })
    case 'quote': return h('blockquote', b.blocks.map(block))
    case 'list': return h(b.ordered ? 'ol' : 'ul', b.ordered && b.start !== 1 ? { start: b.start } : {}, b.items.map((own) => h('li', own.map(block))))
    case 'table': return h('div', { class: 'scroll', tabindex: 0 }, h('table', [
      h('thead', h('tr', b.head.map((c) => h('th', c.map(span))))),
      h('tbody', b.rows.map((r) => h('tr', r.map((c) => h('td', c.map(span)))))),
    ]))
    default: return h('p', { class: 'said' }, b.spans.map(span))
  }
}
export const Marked = (props) => props.blocks.map(block)
Marked.props = ['blocks']
