import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import type { AnyRegistry } from '../src/prometheus.ts'

const run = promisify(execFile)

/** Why a test with this program cannot run here, or undefined if it can. */
export function missing(program: 'prometheus' | 'promtool'): string | undefined {
  if (spawnSync(program, ['--version'], { stdio: 'ignore' }).status === 0) return undefined
  return `no ${program} on the PATH; on Debian and Ubuntu: apt-get install -y prometheus`
}

/** Runs promtool; throws with what it said if it finds fault. */
export async function promtool(args: readonly string[], input?: string): Promise<string> {
  const running = run('promtool', args)
  running.child.stdin?.end(input ?? '')
  try {
    const { stdout } = await running
    return stdout
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string }
    throw new Error(`promtool ${args.join(' ')}\n${stdout}${stderr}`)
  }
}

export interface Sample {
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** A real Prometheus on a free port that scrapes a registry five times per second. */
export class Prometheus {
  #url = ''
  readonly #process: ChildProcess
  readonly #exporter: Server
  readonly #folder: string

  private constructor(process: ChildProcess, exporter: Server, folder: string) {
    this.#process = process
    this.#exporter = exporter
    this.#folder = folder
  }

  static async start(registry: AnyRegistry, ruleFiles: readonly string[] = []): Promise<Prometheus> {
    const exporter = createServer((_request, response) => {
      registry.metrics().then(
        (text) => response.setHeader('content-type', registry.contentType).end(text),
        (error: unknown) => response.writeHead(500).end(String(error)),
      )
    })
    await new Promise<void>((resolve) => exporter.listen(0, '127.0.0.1', resolve))
    const { port } = exporter.address() as AddressInfo
    const folder = mkdtempSync(join(tmpdir(), 'grpc-stack-prometheus-'))
    // JSON is YAML.
    const config = {
      global: { scrape_interval: '200ms', scrape_timeout: '200ms', evaluation_interval: '200ms' },
      rule_files: ruleFiles,
      scrape_configs: [{ job_name: 'shop', static_configs: [{ targets: [`127.0.0.1:${port}`] }] }],
    }
    const file = join(folder, 'prometheus.yml')
    writeFileSync(file, JSON.stringify(config))
    const child = spawn(
      'prometheus',
      [
        `--config.file=${file}`,
        `--storage.tsdb.path=${join(folder, 'data')}`,
        '--web.listen-address=127.0.0.1:0',
        '--enable-feature=exemplar-storage',
      ],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    )
    const server = new Prometheus(child, exporter, folder)
    try {
      server.#url = `http://${await listenAddress(child)}`
      await server.#ready()
    } catch (error) {
      await server.stop()
      throw error
    }
    return server
  }

  /** It listens before it answers. */
  async #ready(): Promise<void> {
    while ((await fetch(`${this.#url}/-/ready`)).status !== 200) await new Promise((resolve) => setTimeout(resolve, 50))
  }

  /** The result of an instant query. */
  async query(expression: string): Promise<Sample[]> {
    const { result } = (await this.#get('query', { query: expression })) as { result: RawSample[] }
    return result.map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }))
  }

  /** Asks again until the answer is as wanted, and returns it; the last one if it never is. */
  async queryUntil(expression: string, wanted: (samples: Sample[]) => boolean, patienceMs = 20_000): Promise<Sample[]> {
    const end = performance.now() + patienceMs
    for (;;) {
      const samples = await this.query(expression)
      if (wanted(samples) || performance.now() > end) return samples
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }

  /** The exemplars of all series that the expression selects. */
  async exemplars(expression: string): Promise<RawExemplar[]> {
    const now = Date.now() / 1000
    const series = (await this.#get('query_exemplars', {
      query: expression,
      start: String(now - 600),
      end: String(now + 600),
    })) as { exemplars: RawExemplar[] }[]
    return series.flatMap(({ exemplars }) => exemplars)
  }

  /** Why the last scrape failed, or undefined. */
  async scrapeError(): Promise<string | undefined> {
    const { activeTargets } = (await this.#get('targets', {})) as { activeTargets: { lastError: string }[] }
    return activeTargets[0]?.lastError || undefined
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode === null) {
      const ended = new Promise((resolve) => this.#process.once('exit', resolve))
      this.#process.kill('SIGKILL')
      await ended
    }
    this.#exporter.closeAllConnections()
    await new Promise((resolve) => this.#exporter.close(resolve))
    rmSync(this.#folder, { recursive: true, force: true })
  }

  async #get(path: string, parameters: Record<string, string>): Promise<unknown> {
    const response = await fetch(`${this.#url}/api/v1/${path}?${new URLSearchParams(parameters)}`)
    const { status, data, error } = (await response.json()) as { status: string; data: unknown; error?: string }
    if (status !== 'success') throw new Error(`${parameters.query ?? path}: ${error}`)
    return data
  }
}

export interface RawExemplar {
  readonly labels: Readonly<Record<string, string>>
  readonly value: string
}

interface RawSample {
  readonly metric: Record<string, string>
  readonly value: [number, string]
}

/** Prometheus says on standard error where it listens, once it does. */
async function listenAddress(child: ChildProcess): Promise<string> {
  const { stderr } = child
  if (stderr === null) throw new Error('no standard error')
  const said: string[] = []
  const lines = createInterface({ input: stderr })
  for await (const line of lines) {
    said.push(line)
    const address = /msg="?Listening on"? address=(127\.0\.0\.1:\d+)/.exec(line)?.[1]
    if (address !== undefined) {
      stderr.resume()
      return address
    }
  }
  throw new Error(`prometheus did not start:\n${said.join('\n')}`)
}
