// Work on many accounts that goes on when its dialog is closed or another page is opened: a task of the server, and what is done
// here account by account.
import { reactive } from 'vue'
import { api, events, session } from './api.js'

export const work = reactive({ task: null, lines: [], results: {}, problem: null, bulk: null })
export const taskOver = (t) => ['completed', 'failed', 'cancelled'].includes(t?.status)
let followed = ''

function take(task) {
  work.task = task
  for (const r of task.recentResults ?? []) work.results[r.email.toLowerCase()] = r
}

// Follows a task by its events; asks again when they break off, until it is over.
export async function followTask(task, lines = []) {
  Object.assign(work, { lines, results: {}, problem: null })
  followed = task.taskId
  take(task)
  while (followed === task.taskId && !taskOver(work.task) && session.key) {
    try {
      await events(await api.taskEvents(task.taskId), (data) => { if (followed === task.taskId) take(JSON.parse(data)) })
      if (!taskOver(work.task)) take(await api.task(task.taskId))
      work.problem = null
    } catch (e) {
      work.problem = e
      if (e.status === 404 || e.status === 401 || e.status === 403) break
    }
    if (!taskOver(work.task)) await new Promise((r) => setTimeout(r, 1000))
  }
}

// After a reload of the page: the task that still runs, if there is one.
export async function findTask() {
  if (work.task) return
  const all = await api.tasks(), t = (Array.isArray(all) ? all : all.tasks ?? all.data ?? []).find((x) => !taskOver(x))
  if (t && !work.task) followTask(t)
}

export function forgetTask() {
  followed = ''
  Object.assign(work, { task: null, lines: [], results: {}, problem: null })
}

// Does `each` for all names, three at once. Failures are kept with the server's words.
export async function runBulk(name, names, each, after = () => {}) {
  const bulk = reactive({ name, all: names.length, done: 0, failed: [], stopped: false, over: false, again: null })
  const rest = [...names]
  work.bulk = bulk
  await Promise.all([0, 1, 2].map(async () => {
    while (rest.length && !bulk.stopped) {
      const one = rest.shift()
      try { await each(one) } catch (e) { bulk.failed.push({ email: one, error: e }) }
      bulk.done++
    }
  }))
  bulk.again = () => runBulk(name, bulk.failed.map((f) => f.email), each, after)
  bulk.over = true
  after()
}
