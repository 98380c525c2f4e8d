import { ref } from 'vue'
import { keepRead, keepWrite } from './keep.js'

export const theme = ref(keepRead('q2a.theme') || 'system')
const apply = () => { document.documentElement.dataset.theme = theme.value }
apply()

export function setTheme(name) {
  theme.value = name
  keepWrite('q2a.theme', name, true)
  apply()
}
