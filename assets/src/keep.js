// What this browser remembers. In a frame that may not store anything, memory does.
const memory = new Map()

export function keepRead(name) {
  if (memory.has(name)) return memory.get(name)
  try {
    return sessionStorage.getItem(name) ?? localStorage.getItem(name)
  } catch {
    return null
  }
}

export function keepWrite(name, value, lasting) {
  memory.set(name, value)
  try {
    sessionStorage.setItem(name, value)
    if (lasting) localStorage.setItem(name, value)
    else localStorage.removeItem(name)
  } catch { /* a frame without storage: memory holds it */ }
}

export function keepDrop(name) {
  memory.delete(name)
  try {
    sessionStorage.removeItem(name)
    localStorage.removeItem(name)
  } catch { /* as above */ }
}
