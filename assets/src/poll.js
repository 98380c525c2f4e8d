// Asks again every `ms` while the page is seen; stops when it is hidden or left. A refusal does not end it.
import { onBeforeUnmount, onMounted, watch } from 'vue'
import { session } from './api.js'

export function usePoll(ask, ms) {
  let timer = null, gone = false
  async function turn() {
    clearTimeout(timer)
    if (gone || document.hidden) return
    try { await ask() } finally { if (!gone) timer = setTimeout(turn, ms) }
  }
  const seen = () => { if (!document.hidden) turn() }
  onMounted(() => { document.addEventListener('visibilitychange', seen); turn() })
  onBeforeUnmount(() => { gone = true; clearTimeout(timer); document.removeEventListener('visibilitychange', seen) })
  return turn
}

// Asks once, and again when the server is back after it was away.
export function useLoad(ask) {
  onMounted(ask)
  watch(() => session.back, ask)
}
