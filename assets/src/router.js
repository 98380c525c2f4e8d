import { createRouter, createWebHistory } from 'vue-router'
import { onSignedOut, session, signOut } from './api.js'
import Auth from './views/Auth.vue'
import Overview from './views/Overview.vue'
import Accounts from './views/Accounts.vue'
import Statistics from './views/Statistics.vue'
import Keys from './views/Keys.vue'
import Settings from './views/Settings.vue'
import Playground from './views/Playground.vue'
import Logs from './views/Logs.vue'
import Catalog from './views/Catalog.vue'
import About from './views/About.vue'

export const pages = [
  { path: '/', name: 'overview', component: Overview },
  { path: '/accounts', name: 'accounts', component: Accounts },
  { path: '/keys', name: 'keys', component: Keys },
  { path: '/chat', name: 'chat', component: Playground, meta: { user: true } },
  { path: '/statistics', name: 'statistics', component: Statistics },
  { path: '/catalog', name: 'catalog', component: Catalog },
  { path: '/logs', name: 'logs', component: Logs },
  { path: '/settings', name: 'settings', component: Settings },
  { path: '/about', name: 'about', component: About },
]

export const router = createRouter({
  history: createWebHistory(),
  routes: [{ path: '/auth', name: 'auth', component: Auth, meta: { user: true } }, ...pages, { path: '/:rest(.*)', redirect: '/' }],
})

router.beforeEach((to) => {
  if (to.name === 'auth') return true
  if (!session.key) return { name: 'auth', query: { next: to.fullPath } }
  return session.admin || to.meta.user ? true : { name: 'chat' }
})

onSignedOut(() => {
  signOut()
  const at = router.currentRoute.value
  if (at.name !== 'auth') router.replace({ name: 'auth', query: { next: at.fullPath, why: 'ended' } })
})
