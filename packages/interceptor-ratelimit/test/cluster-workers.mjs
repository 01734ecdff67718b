// Four processes, or threads, with one limit. Prints how many of their decisions were admitted.
import cluster from 'node:cluster'
import { isMainThread, parentPort, Worker } from 'node:worker_threads'
import { clusterStore } from '@grpc-stack/interceptor-ratelimit/cluster'

const kind = process.env.KIND
// As two modules of an application would make them, each for itself.
const stores = [clusterStore({ name: 'test' }), clusterStore({ name: 'test' })]
const quota = { leakPerUs: 1, unitsPerCall: 1_000_000_000, capacity: 10_000_000_000 } // ten, then one in a thousand seconds
const limits = [{ name: 'x', quota, sameKeyAsFirst: true }]
const tries = 25

async function takeAll() {
  if (process.env.CROSSED === 'yes') {
    const [first, second] = stores.map((store) => store.open(limits))
    // More than there ever is, and one of ten, at the same moment.
    const [refused, admitted] = await Promise.all([first.take(['ann'], [11]), second.take(['bob'], [1])])
    return (refused.admitted ? 100 : 0) + (admitted.admitted ? 1 : 0)
  }
  const limiters = stores.map((store) => store.open(limits))
  const keys = process.env.OWN_KEY === 'yes' ? [`w${cluster.worker?.id ?? 0}`] : ['ann']
  const decisions = await Promise.all(Array.from({ length: tries }, (_, i) => limiters[i % 2].take(keys, [1])))
  return decisions.filter(({ admitted }) => admitted).length
}

if (kind === 'threads') {
  if (isMainThread) {
    const threads = Array.from({ length: 4 }, () => new Worker(new URL(import.meta.url)))
    const counts = await Promise.all(threads.map((thread) => new Promise((resolve) => thread.once('message', resolve))))
    await Promise.all(threads.map((thread) => thread.terminate()))
    report(counts)
  } else {
    // A server would keep the thread running; a store does not.
    const running = setInterval(() => undefined, 60_000)
    parentPort.postMessage(await takeAll())
    clearInterval(running)
  }
} else if (cluster.isPrimary) {
  const counts = []
  cluster.on('message', (_worker, message) => {
    if (typeof message !== 'number') return
    counts.push(message)
    if (counts.length < 4) return
    for (const worker of Object.values(cluster.workers)) worker.disconnect()
    report(counts)
  })
  for (let i = 0; i < 4; i++) cluster.fork()
} else {
  process.send(await takeAll())
}

function report(counts) {
  console.log(JSON.stringify({ admitted: counts.reduce((sum, count) => sum + count, 0), workers: counts.length }))
}
