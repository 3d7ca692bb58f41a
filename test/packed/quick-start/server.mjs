import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { EventHub } from '@entitycast/sse-server'
import { eventStream } from '@entitycast/sse-server/express'
import express from 'express'

const app = express()
const hub = new EventHub()
// In place of your database. A row's version grows with each change of it.
const documents = existsSync('documents.json')
  ? JSON.parse(readFileSync('documents.json', 'utf8'))
  : [{ id: 'doc_1', title: 'Contract', pages: 0, version: 0 }]

app.get('/api/events/stream', eventStream(hub, {
  authorize: (req) => ({ projectId: 'demo' }),         // here goes your session or token; null is answered with 401
}))
app.get('/api/documents', async (req, res) => {
  const cursor = await hub.cursor('demo')              // first the cursor, then the rows: nothing is missed in between
  res.json({ cursor, documents })
})
app.post('/api/documents/:id/read', async (req, res) => {
  const document = documents.find(({ id }) => id === req.params.id)
  document.pages++
  document.version++
  writeFileSync('documents.json', JSON.stringify(documents))
  await hub.project('demo').updated('document', document.id, { pages: document.pages }, { version: document.version })
  res.json(document)
})

app.get('/', (req, res) => res.sendFile('index.html', { root: import.meta.dirname }))
app.use('/node_modules', express.static('node_modules'))    // a bundler does this in a real application
const server = app.listen(process.env.PORT ?? 3000, () => console.log(`http://localhost:${server.address().port}`))
