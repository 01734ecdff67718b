import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

/** The system's own: Debian's packages are not seen by another Python that may be first on the PATH. */
const PYTHON = '/usr/bin/python3'
const SOURCES = fileURLToPath(new URL('./python', import.meta.url))

/** Why these tests cannot run on this machine, or undefined. */
export const missingPython: string | undefined = (() => {
  const { status } = spawnSync(PYTHON, ['-c', 'import grpc, grpc_tools.protoc, google.protobuf'])
  if (status === 0) return undefined
  return 'no gRPC Python: apt-get install python3-grpcio python3-protobuf python3-grpc-tools'
})()

/** Why tests whose programs need no generated code cannot run on this machine, or undefined. */
export const missingGrpcPython: string | undefined = (() => {
  const { status } = spawnSync(PYTHON, ['-c', 'import grpc'])
  return status === 0 ? undefined : 'no gRPC Python: apt-get install python3-grpcio'
})()

/** Why tests whose programs make their messages at run time cannot run on this machine, or undefined. */
export const missingPythonProtobuf: string | undefined = (() => {
  const { status } = spawnSync(PYTHON, ['-c', 'import grpc, google.protobuf'])
  return status === 0 ? undefined : 'no gRPC Python: apt-get install python3-grpcio python3-protobuf'
})()

/** A directory with the Python programs and the code generated for them. */
export function preparePython(): { readonly directory: string; remove(): void } {
  const directory = mkdtempSync(join(tmpdir(), 'grpc-stack-interop-'))
  cpSync(SOURCES, directory, { recursive: true })
  const { status, stderr } = spawnSync(
    PYTHON,
    ['-m', 'grpc_tools.protoc', '-I.', '--python_out=.', '--grpc_python_out=.', 'interop.proto'],
    { cwd: directory, encoding: 'utf8' },
  )
  if (status !== 0) throw new Error(`protoc failed: ${stderr}`)
  return { directory, remove: () => rmSync(directory, { recursive: true, force: true }) }
}

/** Starts the Python server. It ends when its standard input does. */
export async function startPythonServer(directory: string): Promise<{ port: number; stop(): Promise<void> }> {
  const server = spawn(PYTHON, ['server.py'], { cwd: directory, stdio: ['pipe', 'pipe', 'inherit'] })
  const [line] = (await once(createInterface(server.stdout), 'line')) as [string]
  return { port: Number(line), stop: () => end(server) }
}

async function end(child: ChildProcess): Promise<void> {
  const gone = once(child, 'exit')
  child.stdin?.end()
  await gone
}

/** Runs the Python client against a port. Returns what it reported, by check. */
export async function runPythonClient(directory: string, port: number): Promise<Map<string, Record<string, unknown>>> {
  return await report('client.py', port, directory)
}

/** Runs a Python program that needs no generated code against a port. Returns what it reported, by check. */
export async function runPython(program: string, port: number): Promise<Map<string, Record<string, unknown>>> {
  return await report(program, port, SOURCES)
}

async function report(program: string, port: number, directory: string): Promise<Map<string, Record<string, unknown>>> {
  const client = spawn(PYTHON, [program, String(port)], { cwd: directory, stdio: ['ignore', 'pipe', 'pipe'] })
  let errors = ''
  client.stderr.on('data', (chunk: Buffer) => {
    errors += chunk.toString()
  })
  const checks = new Map<string, Record<string, unknown>>()
  createInterface(client.stdout).on('line', (line) => {
    const { check, ...facts } = JSON.parse(line) as { check: string } & Record<string, unknown>
    checks.set(check, facts)
  })
  const [code] = (await once(client, 'close')) as [number]
  if (code !== 0) throw new Error(`the Python client failed: ${errors}`)
  return checks
}
