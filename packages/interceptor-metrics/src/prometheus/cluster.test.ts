import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

const script = fileURLToPath(new URL('../../test/cluster-workers.mjs', import.meta.url))

interface Printed {
  /** The one scrape of all workers. */
  readonly scraped: string
  /** What each worker exposes by itself. */
  readonly own: readonly string[]
}

async function runWorkers(...args: readonly string[]): Promise<Printed> {
  const child = spawn(process.execPath, [script, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  let printed = ''
  child.stdout.on('data', (chunk) => {
    printed += String(chunk)
  })
  expect(await new Promise((resolve) => child.once('close', resolve))).toBe(0)
  return JSON.parse(printed) as Printed
}

const method = 'grpc_type="unary",grpc_service="grpcstack.testing.Test",grpc_method="Unary"'
const started = (text: string): string | undefined => /^grpc_server_started_total\{.*} (\d+)$/m.exec(text)?.[1]

it("four workers of Node's cluster behind one port are one scrape", async () => {
  const { scraped, own } = await runWorkers()
  expect(own.map(started).map(Number).sort()).toEqual([1, 2, 3, 4])
  const lines = scraped.split('\n')
  expect(lines).toContain(`grpc_server_started_total{${method}} 10`)
  expect(lines).toContain(`grpc_server_handled_total{${method},grpc_code="OK"} 10`)
  expect(lines).toContain(`grpc_server_handling_seconds_count{${method}} 10`)
  expect(lines).toContain(`grpc_server_handling_seconds_bucket{${method},le="+Inf"} 10`)
  expect(lines).toContain(`grpc_server_in_flight{${method}} 0`)
}, 30_000)

// prom-client 15: metricAggregators.js copies values and labels and nothing else, and cluster.js writes Prometheus's text always.
it('one scrape of all workers has the sums and no exemplar, the scrape of each worker its exemplars', async () => {
  const { scraped, own } = await runWorkers('exemplars')
  for (const text of own)
    expect(text).toMatch(/^grpc_server_handled_total\{.*grpc_code="OK"} \d # \{worker="[1-4]"} 1 /m)
  const lines = scraped.split('\n')
  expect(lines).toContain(`grpc_server_started_total{${method}} 10`)
  expect(lines).toContain(`grpc_server_handled_total{${method},grpc_code="OK"} 10`)
  expect(scraped).not.toContain('# {')
  expect(scraped).not.toContain('# EOF')
}, 30_000)
