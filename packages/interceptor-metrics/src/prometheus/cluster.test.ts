import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

const script = fileURLToPath(new URL('../../test/cluster-workers.mjs', import.meta.url))

it("four workers of Node's cluster behind one port are one scrape", async () => {
  const child = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'inherit'] })
  let printed = ''
  child.stdout.on('data', (chunk) => {
    printed += String(chunk)
  })
  expect(await new Promise((resolve) => child.once('close', resolve))).toBe(0)
  const { scraped, own } = JSON.parse(printed) as { scraped: string; own: string[] }
  expect(own.map(Number).sort()).toEqual([1, 2, 3, 4])
  const method = 'grpc_type="unary",grpc_service="grpcstack.testing.Test",grpc_method="Unary"'
  const lines = scraped.split('\n')
  expect(lines).toContain(`grpc_server_started_total{${method}} 10`)
  expect(lines).toContain(`grpc_server_handled_total{${method},grpc_code="OK"} 10`)
  expect(lines).toContain(`grpc_server_handling_seconds_count{${method}} 10`)
  expect(lines).toContain(`grpc_server_handling_seconds_bucket{${method},le="+Inf"} 10`)
  expect(lines).toContain(`grpc_server_in_flight{${method}} 0`)
}, 30_000)
