import type { Stage } from '../story/step.ts'
import { type Listener, steps } from '../story/story.ts'
import { Measurements } from '../telemetry/measurements.ts'
import type { Event, Log, Span } from '../telemetry/observatory.ts'
import { allTroubles, Troubles } from '../troubles/troubles.ts'
import { type Frame, frame } from './frame.ts'
import { LiveFeed } from './live-feed.ts'
import { servePage } from './page-server.ts'

const FRAME_MS = 500

/** What a page that is opened later is given of what was before. */
const KEPT = { frames: 120, spans: 1500, logs: 400, events: 100 }

export interface Page {
  readonly url: string
  /** Shows how the story goes. */
  readonly listener: Listener
  close(): Promise<void>
}

/** Everything a page is told every half second. */
interface Update {
  readonly frame: Frame
  readonly spans: readonly Span[]
  readonly logs: readonly Log[]
  readonly events: readonly Event[]
}

/**
 * Opens the live page of the shop.
 * @param tellStory what the page's button for it does; returns false while it is being told
 */
export async function openPage(stage: Stage, port: number, tellStory: () => boolean): Promise<Page> {
  const { shop, observatory, issuer } = stage
  const measurements = new Measurements(observatory)
  const feed = new LiveFeed()
  const frames: Frame[] = []
  const story = new Map<string, unknown>()
  const troubles = new Troubles(stage, () => feed.send('troubles', troubles.active))

  let fresh = { spans: [] as Span[], logs: [] as Log[], events: [] as Event[] }
  observatory.on('span', (span) => fresh.spans.push(span))
  observatory.on('log', (log) => fresh.logs.push(log))
  observatory.on('event', (event) => fresh.events.push(event))

  const timer = setInterval(() => {
    const now = frame(shop, observatory, measurements, issuer.issued)
    frames.push(now)
    if (frames.length > KEPT.frames) frames.shift()
    const update: Update = { frame: now, ...fresh }
    fresh = { spans: [], logs: [], events: [] }
    feed.send('update', update)
  }, FRAME_MS)

  const { url, close } = await servePage(port, {
    watch: (response) =>
      feed.add(response, {
        troubles: allTroubles.map(({ id, title, text, momentary = false }) => ({ id, title, text, momentary })),
        active: troubles.active,
        steps: steps.map(({ name }) => name),
        story: Object.fromEntries(story),
        frames,
        spans: observatory.spans.slice(-KEPT.spans),
        logs: observatory.logs.slice(-KEPT.logs),
        events: observatory.events.slice(-KEPT.events),
      }),
    press(button) {
      const [what, id, action] = button.split('/')
      if (what === 'story' && id === undefined) return tellStory()
      if (what !== 'trouble' || id === undefined) return false
      if (action !== 'start' && action !== 'stop') return false
      return troubles.set(id, action === 'start')
    },
  })

  const show = (name: string, state: unknown): void => {
    story.set(name, state)
    feed.send('story', Object.fromEntries(story))
  }
  return {
    url,
    listener: {
      began({ name }) {
        // The first step begins the story anew.
        if (name === steps[0]?.name) story.clear()
        show(name, { state: 'running' })
      },
      ended({ name }, outcome) {
        show(name, { state: outcome.ok ? 'ok' : 'failed', ...outcome })
      },
    },
    async close() {
      clearInterval(timer)
      feed.close()
      await close()
      await troubles.end()
    },
  }
}
