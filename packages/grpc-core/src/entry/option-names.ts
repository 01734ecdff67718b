/**
 * Options beside which grpc-js's own may stand. A name that is neither would be left unread, whatever was meant by it. Inherited
 * names count, since what reads options reads those too.
 * @throws TypeError for such a name.
 */
export function checkNames(where: string, options: object, own: readonly string[]): void {
  for (const name in options) {
    if (own.includes(name) || /^grpc(-node)?\./.test(name)) continue
    const known = [...own.map((known) => `"${known}"`), 'those of grpc-js, which begin with "grpc."']
    throw new TypeError(
      `${where}: unknown option "${name}". Known are ${known.join(', ').replace(/, (?=those)/, ' and ')}`,
    )
  }
}
