// A service of one of Envoy's protocols for tests and for the demo: a process on a free port of 127.0.0.1, which can be killed and
// paused, and a file that says what it answers.
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** What the services answer at first. The file holds the same, and is read for each question. */
const answers = {
  'rate-limit-service': { requestsPerUnit: 20, unit: 'second', delayMs: 0 },
  'ext-authz-service': { deny: [], maxAgeSeconds: 0, delayMs: 0 },
}

/** One process of a service. */
export class ServiceProcess {
  #name
  #folder
  /** @type {import('node:child_process').ChildProcess | undefined} */
  #child

  /**
   * @param {keyof typeof answers} name
   * @param {string} folder
   */
  constructor(name, folder) {
    this.#name = name
    this.#folder = folder
    this.port = 0
    this.file = join(folder, 'answers.json')
  }

  /**
   * @param {keyof typeof answers} name of the program beside this file
   * @param {object} [answer] what it answers, where that is something else than at first
   */
  static async start(name, answer) {
    const service = new ServiceProcess(name, mkdtempSync(join(tmpdir(), `grpc-stack-${name}-`)))
    service.answer({ ...answers[name], ...answer })
    try {
      await service.restart()
      return service
    } catch (error) {
      await service.stop()
      throw error
    }
  }

  /** Where it was. It has forgotten what it has counted. */
  async restart() {
    const program = fileURLToPath(new URL(`./${this.#name}.mjs`, import.meta.url))
    // In a group of its own: Ctrl-C in a terminal is for what started it, which decides when it ends. It ends with its standard input.
    const child = spawn(process.execPath, [program, this.file, String(this.port)], {
      stdio: ['pipe', 'pipe', 'inherit'],
      detached: true,
    })
    this.#child = child
    this.port = await new Promise((resolve, reject) => {
      child.once('error', reject)
      child.once('exit', (code) => reject(new Error(`${this.#name} ended with ${code}`)))
      child.stdout.once('data', (chunk) => resolve(Number(chunk)))
    })
  }

  get address() {
    return `127.0.0.1:${this.port}`
  }

  get pid() {
    return this.#child?.pid
  }

  /** Says what it answers from now on. */
  answer(answer) {
    writeFileSync(this.file, `${JSON.stringify(answer, null, 2)}\n`)
  }

  /** It keeps its connections, accepts new ones, and answers nothing. */
  pause() {
    this.#child?.kill('SIGSTOP')
  }

  resume() {
    this.#child?.kill('SIGCONT')
  }

  /** Ends it as a crash would. */
  async kill() {
    const child = this.#child
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const gone = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGKILL')
    await gone
  }

  /** Ends it and removes its file. */
  async stop() {
    await this.kill()
    rmSync(this.#folder, { recursive: true, force: true })
  }

  async [Symbol.asyncDispose]() {
    await this.stop()
  }
}
