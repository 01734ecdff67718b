let lastAddress: string | undefined
let lastPort: number | undefined
let lastText = ''

/** `address:port`. A connection carries many calls, each of which is asked by several interceptors: the last is kept. */
export function peerText(address: string, port: number | undefined): string {
  if (address !== lastAddress || port !== lastPort) {
    lastAddress = address
    lastPort = port
    lastText = port === undefined ? address : `${address}:${port}`
  }
  return lastText
}
