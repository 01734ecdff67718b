// Runs the program that is named on the command line in two workers at once, and prints what each said.
const { Worker } = require('node:worker_threads')
const { text } = require('node:stream/consumers')

const inWorker = async () => {
  const worker = new Worker(require.resolve(process.argv[2]), { stdout: true })
  const failed = new Promise((_, reject) => worker.once('error', reject))
  return JSON.parse(await Promise.race([text(worker.stdout), failed]))
}

void Promise.all([inWorker(), inWorker()]).then((both) => console.log(JSON.stringify(both)))
