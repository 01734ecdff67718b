// A process of its own for one side of one variant: `peer.js server <variant>` or `peer.js client <variant> <port>`.
import { type Pace, runLoad } from './load.ts'
import { loadVariant } from './load-variant.ts'
import { startProfile, stopProfile } from './profile.ts'
import { startCounting, stopCounting } from './resources.ts'
import type { Scenario, VariantName } from './variant.ts'

/** What the parent may ask. Each question has one answer. */
export type Question =
  | { readonly ask: 'cpu' }
  | {
      readonly ask: 'load'
      readonly scenario: Scenario
      readonly operations: number
      readonly pace: Pace
    }
  | { readonly ask: 'heap'; readonly collect: boolean }
  | { readonly ask: 'profile'; readonly stop: boolean }
  | { readonly ask: 'resources'; readonly stop: boolean }
  | { readonly ask: 'hold'; readonly kind: 'unary' | 'bidi'; readonly count: number }

const [role, name, port] = process.argv.slice(2) as ['server' | 'client', VariantName, string]
const variant = await loadVariant(name)
const send = (answer: unknown): void => void process.send?.(answer)

let load: (scenario: Scenario, operations: number, pace: Pace) => Promise<unknown>
let hold: (kind: 'unary' | 'bidi', count: number) => Promise<unknown>

if (role === 'server') {
  const server = await variant.startServer()
  load = hold = () => Promise.reject(new Error('a server makes no load'))
  send({ port: server.port, refuses: variant.refuses ?? false })
} else {
  const open = (token: boolean) => variant.openClient(Number(port), token)
  const client = open(true)
  const stranger = open(false)
  load = (scenario, operations, pace) =>
    runLoad(scenario, operations, scenario === 'refused' ? stranger : client, () => open(true), pace)
  hold = async (kind, count) => {
    for (let i = 0; i < count; i++) {
      client.hold(kind)
      // A burst of all of them would overflow what HTTP/2 takes at once.
      if (i % 100 === 99) await new Promise((resolve) => setTimeout(resolve, 5))
    }
    await new Promise((resolve) => setTimeout(resolve, 300))
  }
  send({})
}

process.on('message', async (question: Question) => {
  switch (question.ask) {
    case 'cpu': {
      const { user, system } = process.cpuUsage()
      return send(user + system)
    }
    case 'load':
      return send(await load(question.scenario, question.operations, question.pace))
    case 'heap':
      if (question.collect) for (let i = 0; i < 3; i++) global.gc?.()
      return send(process.memoryUsage().heapUsed)
    case 'profile':
      if (question.stop) return send(await stopProfile())
      startProfile()
      return send(true)
    case 'resources':
      if (question.stop) return send(stopCounting())
      startCounting()
      return send(true)
    case 'hold':
      return send((await hold(question.kind, question.count)) ?? true)
  }
})
process.on('disconnect', () => process.exit(0))
