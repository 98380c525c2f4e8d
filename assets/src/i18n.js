import { createI18n } from 'vue-i18n'
import { keepRead, keepWrite } from './keep.js'
import en from './locales/en.js'
import zh from './locales/zh.js'

const wanted = keepRead('q2a.language') || (navigator.language || 'en').slice(0, 2)
export const i18n = createI18n({ legacy: false, locale: wanted === 'zh' ? 'zh' : 'en', fallbackLocale: 'en', messages: { en, zh } })
document.documentElement.lang = i18n.global.locale.value

export function setLanguage(language) {
  i18n.global.locale.value = language
  document.documentElement.lang = language
  keepWrite('q2a.language', language, true)
}
