// The list of models as the pages show it: a base model with its variants.
const suffixes = ['-thinking-search', '-deep-research', '-image-edit', '-thinking', '-search', '-image', '-video']

export function grouped(list) {
  const bases = new Map(list.map((m) => [m.id, { ...m, variants: [] }]))
  for (const m of list) {
    const suffix = suffixes.find((s) => m.id.endsWith(s) && bases.has(m.id.slice(0, -s.length)))
    const base = suffix && bases.get(m.id.slice(0, -suffix.length))
    if (!base || (m.upstream_id && base.upstream_id !== m.upstream_id)) continue
    base.variants.push({ id: m.id, name: suffix.slice(1) })
    bases.delete(m.id)
  }
  return [...bases.values()]
}

// What a name asks for: a picture or film has a size.
export const makesMedia = (id) => /-(image|image-edit|video)$/.test(id)
export const sizes = ['1:1', '4:3', '3:4', '16:9', '9:16']
