// Writes commonjs/package.json into every published package: without it Node would take what is compiled there for ES modules, as
// the package's own package.json says. Part of every build. Not checked in, because Nx empties the folder before it fills it.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isMain, publishablePackages, root } from './workspace.mjs'

export function writeCommonjsType() {
  for (const { dir } of publishablePackages()) {
    mkdirSync(join(root, dir, 'commonjs'), { recursive: true })
    writeFileSync(join(root, dir, 'commonjs/package.json'), '{ "type": "commonjs" }\n')
  }
}

if (isMain(import.meta.url)) writeCommonjsType()
