import { run } from './stack.ts'

void run().then((happened) => console.log(JSON.stringify(happened)))
