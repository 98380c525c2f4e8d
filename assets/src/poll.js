// Asks again every `ms` while the page is seen; stops when it is hidden or left. A refusal does not end it.
import { onBeforeUnmount, onMounted } from 'vue'

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
