// The time in seconds, moving on once a second while the page is seen: what counts down reads it.
import { ref } from 'vue'

export const clock = ref(Date.now() / 1000)
setInterval(() => { if (!document.hidden) clock.value = Date.now() / 1000 }, 1000)
