import { applyEntityEvent, EventSubscriber } from '@entitycast/sse-client'

const list = /** @type {HTMLElement} */ (document.querySelector('ol'))
const footer = /** @type {HTMLElement} */ (document.querySelector('footer'))
const form = /** @type {HTMLFormElement} */ (document.querySelector('form'))
const load = async () => (await fetch('/api/tickets')).json()
const post = (/** @type {string} */ path, body = {}) => fetch(path, { method: 'POST', body: JSON.stringify(body) })

/** @typedef {{ id: string, title: string, done: boolean, version: number }} Ticket */
/** @type {{ cursor: string, tickets: Ticket[] }} */
let { cursor, tickets } = await load()
let worker = ''
let resyncs = 0

const updates = new EventSubscriber('/api/events', {
  since: cursor,
  async fetch(address, init) {
    const response = await fetch(address, init)
    worker = response.headers.get('x-worker') ?? ''
    return response
  },
})

function show() {
  list.replaceChildren(
    ...tickets.map(({ id, title, done }) => {
      const item = document.createElement('li')
      item.textContent = `${title} `
      item.classList.toggle('done', done)
      if (done) return item
      const button = document.createElement('button')
      button.textContent = 'Done'
      button.onclick = () => post(`/api/tickets/${id}/done`)
      item.append(button)
      return item
    }),
  )
  footer.textContent = `${updates.state}, by worker ${worker}; loaded again ${resyncs} times`
}

updates.subscribe('ticket:*', (event) => {
  tickets = applyEntityEvent(tickets, event)
  show()
})
updates.onResync(async () => {
  resyncs++
  tickets = (await load()).tickets
  show()
})
updates.onState(show)
updates.connect()
form.onsubmit = (/** @type {SubmitEvent} */ event) => {
  event.preventDefault()
  void post('/api/tickets', { title: new FormData(form).get('title') })
  form.reset()
}
