import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** One request an endpoint got. */
export interface Received {
  readonly method: string
  readonly path: string
  readonly headers: IncomingMessage['headers']
  readonly body: string
  readonly form: URLSearchParams
}

/** What an endpoint does with a request: an object is sent as JSON; otherwise it writes the answer itself, or never. */
export type Answer = (request: Received, response: ServerResponse) => unknown

/** A real HTTP server that answers as the test says at the time. */
export interface HttpEndpoint {
  readonly url: string
  readonly requests: readonly Received[]
  answer: Answer
  close(): Promise<void>
}

export async function startEndpoint(answer: Answer): Promise<HttpEndpoint> {
  const requests: Received[] = []
  const server = createServer(async (message, response) => {
    let body = ''
    message.setEncoding('utf8')
    for await (const chunk of message) body += chunk
    const { method = '', url = '', headers } = message
    const request = { method, path: url, headers, body, form: new URLSearchParams(body) }
    requests.push(request)
    const answered = await endpoint.answer(request, response)
    if (typeof answered === 'object' && answered !== null && !response.headersSent) {
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify(answered))
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const endpoint: HttpEndpoint = {
    url: `http://127.0.0.1:${port}/`,
    requests,
    answer,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
  return endpoint
}

/** Answers with an HTTP status and this body. */
export const httpStatus =
  (status: number, body: unknown = {}): Answer =>
  (_request, response) => {
    response.statusCode = status
    response.end(typeof body === 'string' ? body : JSON.stringify(body))
  }

/** Takes the request and never answers. */
export const silence: Answer = () => undefined
