// Entry points as their sources, so that dependency-cruiser follows imports between packages that are not built. It takes
// aliases in the form of a webpack configuration only.
import { join } from 'node:path'
import { entryPoints, root, workspacePackages } from './workspace.mjs'

const aliases = workspacePackages()
  .flatMap(entryPoints)
  .map(({ specifier, source }) => [`${specifier}$`, join(root, source)])

export default { resolve: { alias: Object.fromEntries(aliases) } }
