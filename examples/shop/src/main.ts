import { parseArgs } from 'node:util'
import { stayOpen } from './modes/live.ts'
import { tellOnce } from './modes/once.ts'
import { forMachines, forPeople } from './story/printer.ts'

const usage = `npm run demo -- [options]

  --once         tell the story and end, with exit code 0 if each step did what it says
  --json         tell it as a JSON object per step
  --port <n>     of the page; default 4600, or any other if it is taken
  --help`

const { values: options } = parseArgs({
  options: {
    once: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    port: { type: 'string', default: '4600' },
    help: { type: 'boolean', default: false },
  },
})

const printer = options.json ? forMachines : forPeople
if (options.help) console.log(usage)
else if (options.once) await tellOnce(printer)
else await stayOpen(Number(options.port), printer)
