// The process of an attacker: attacks, says how much it has done, and holds what it has opened until it is killed.
import { Random } from '../random.ts'
import { attacks } from './attacks.ts'

const [name = '', port, ms, count, seed] = process.argv.slice(2)
const attack = attacks.get(name)
if (attack === undefined) throw new Error(`no attack "${name}"`)
process.on('disconnect', () => process.exit())
const attempts = await attack.run({
  port: Number(port),
  ms: Number(ms),
  count: Number(count),
  random: new Random(Number(seed)),
})
process.send?.({ attempts })
