import { type Plan, warmUp } from './measure.ts'
import { Pair } from './pair.ts'
import type { Shares } from './profile.ts'
import type { Scenario, VariantName } from './variant.ts'

/** Operations that are watched. */
const OPERATIONS = 40_000

/** Where the CPU time of one variant goes, µs per operation, by whose code runs, as a table. */
export async function profileTable(
  name: VariantName,
  scenario: Scenario,
  plan: Plan,
  say: (line: string) => void,
): Promise<string> {
  say(`profile: ${scenario} of ${name}`)
  const pair = await Pair.start(name, plan)
  try {
    await warmUp(pair, plan)
    await pair.load(scenario, OPERATIONS / 4, plan.pace)
    // The profiler slows what it watches: the cost is taken without it.
    const { cpuUs, serverCpuUs, operations } = await pair.load(scenario, OPERATIONS, plan.pace)
    await pair.startProfile()
    await pair.load(scenario, OPERATIONS, plan.pace)
    const { client, server } = await pair.stopProfile()
    return [
      `\n${scenario}, ${name}\n`,
      '| whose code | client µs | server µs |',
      '|---|--:|--:|',
      ...rows(client, cpuUs / operations, server, serverCpuUs / operations),
    ].join('\n')
  } finally {
    await pair.stop()
  }
}

function rows(client: Shares, clientUs: number, server: Shares, serverUs: number): string[] {
  const owners = [...new Set([...Object.keys(client), ...Object.keys(server)])]
  const cost = (owner: string): number => (client[owner] ?? 0) * clientUs + (server[owner] ?? 0) * serverUs
  const cell = (shares: Shares, owner: string, total: number): string => ((shares[owner] ?? 0) * total).toFixed(1)
  return [
    ...owners
      .filter((owner) => cost(owner) >= 0.1)
      .sort((a, b) => cost(b) - cost(a))
      .map((owner) => `| ${owner} | ${cell(client, owner, clientUs)} | ${cell(server, owner, serverUs)} |`),
    `| together | ${clientUs.toFixed(1)} | ${serverUs.toFixed(1)} |`,
  ]
}
