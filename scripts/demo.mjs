// npm run demo -- <arguments>: sets the checkout up and starts the demo, with a Redis for its limits, or a service that decides about
// calls, where one is asked for.
import { spawn } from 'node:child_process'
import { ServiceProcess } from './envoy/service-process.mjs'
import { startCluster } from './redis/cluster.mjs'
import { redisMissing, sentinelMissing } from './redis/node.mjs'
import { startSentinel } from './redis/sentinel.mjs'
import { setup } from './setup.mjs'
import { root } from './workspace.mjs'

/** What can be started beside the demo: why not here, what it tells the demo, and how it ends. */
const engines = {
  '--redis-cluster': {
    missing: redisMissing,
    async start() {
      const cluster = await startCluster()
      const masters = await cluster.masters()
      show(masters, 'master')
      show(
        cluster.nodes.filter((node) => !masters.includes(node)),
        'replica',
      )
      return { environment: { REDIS_CLUSTER: addresses(cluster.nodes) }, stop: () => cluster.stop() }
    },
  },
  '--redis-sentinel': {
    missing: sentinelMissing,
    async start() {
      const redis = await startSentinel()
      const { name, nodes, sentinels } = redis
      show(nodes.slice(0, 1), 'master')
      show(nodes.slice(1), 'replica')
      show(sentinels, 'Sentinel')
      return { environment: { REDIS_SENTINELS: `${name}@${addresses(sentinels)}` }, stop: () => redis.stop() }
    },
  },
  '--cluster': {
    missing: undefined,
    // The shop starts them itself, and says how to kill each.
    start: async () => ({ environment: { SHOP_WORKERS: '4' }, stop: async () => undefined }),
  },
  '--rls': {
    missing: undefined,
    async start() {
      const service = await ServiceProcess.start('rate-limit-service')
      explain('rate limit service', service, {
        change: 'requestsPerUnit is for each customer: 1 refuses most orders',
        slow: 'delayMs of 500: orders wait as long. Beyond 1000 they go on without a limit',
        gone: 'orders go on without a limit',
      })
      return { environment: { RATE_LIMIT_SERVICE: service.address }, stop: () => service.stop() }
    },
  },
  '--ext-authz': {
    missing: undefined,
    async start() {
      const service = await ServiceProcess.start('ext-authz-service')
      explain('external authorization', service, {
        change: 'deny takes paths: ["/shop.storefront.Storefront/PlaceOrder"] ends each order PERMISSION_DENIED',
        slow: 'delayMs of 500: calls wait as long. Beyond 1000 they end UNAVAILABLE',
        gone: 'calls end UNAVAILABLE',
      })
      return { environment: { EXT_AUTHZ: service.address }, stop: () => service.stop() }
    },
  },
}

const addresses = (nodes) => nodes.map(({ host, port }) => `${host}:${port}`).join(',')

/** On standard error: with --json the other is for machines. */
function show(nodes, role) {
  for (const { host, port, pid } of nodes) {
    console.error(`${role.padEnd(8)} ${host}:${port}   to see what happens without it: kill -9 ${pid}`)
  }
}

/** The same for a service whose answers stand in a file. */
function explain(name, { address, file, pid }, { change, slow, gone }) {
  console.error(`${name} ${address}
  what it answers is read for each question from ${file}
    ${change}
    ${slow}
  to see what happens without it: kill -9 ${pid}   ${gone}
  while it answers nothing: kill -STOP ${pid}, and -CONT`)
}

let demo
let interrupted = false

/** Resolves to the exit code. */
async function main(given) {
  const wanted = given.filter((argument) => argument in engines)
  const engine = engines[wanted[0]]
  const problem = wanted.length > 1 ? `${wanted.join(' and ')} exclude each other` : engine?.missing
  if (problem !== undefined) {
    console.error(`demo: ${problem}`)
    return 2
  }
  if (!setup()) return 1
  // A terminal sends Ctrl-C to the whole group; what a supervisor sends to this process alone is passed on. Either way the
  // demo decides when to end.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      interrupted = true
      if (signal !== 'SIGINT' || !process.stdin.isTTY) demo?.kill(signal)
    })
  }
  const started = await engine?.start()
  try {
    const args = given.filter((argument) => !wanted.includes(argument))
    return interrupted ? 1 : await play(args, started?.environment)
  } finally {
    await started?.stop()
  }
}

function play(args, environment) {
  demo = spawn(process.execPath, ['examples/shop/dist/main.js', ...args], {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, ...environment },
  })
  return new Promise((resolve) => {
    demo.on('exit', (code, signal) => resolve(signal ? 1 : code))
  })
}

process.exitCode = await main(process.argv.slice(2))
