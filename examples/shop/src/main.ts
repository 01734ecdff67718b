import { readArguments, usage } from './modes/arguments.ts'
import { stayOpen } from './modes/live.ts'
import { tellOnce } from './modes/once.ts'
import { forMachines, forPeople } from './story/printer.ts'

// As in `npm run demo | head`: the reader of the output is gone.
process.stdout.on('error', () => process.exit(1))

const given = readArguments(process.argv.slice(2))
const printer = given.json ? forMachines : forPeople
if (given.problem !== undefined) {
  console.error(`${given.problem}\n\n${usage}`)
  process.exitCode = 2
} else if (given.help) console.log(usage)
else if (given.once) await tellOnce(printer)
else {
  await stayOpen(given, printer)
  // A step of the story that was under way must not keep the process.
  process.exit()
}
