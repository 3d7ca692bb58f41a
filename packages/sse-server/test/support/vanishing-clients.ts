import { connect as connectHttp2 } from 'node:http2'
import { connect } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { answerMessages } from './answer-messages'
import { PSK } from './psk'

/*
 * Clients in a process and a network of their own, who never come back by themselves.
 */

export interface Opening {
  user: string
  host: string
  port: number
  over: 'http' | 'tls' | 'http2'
}

export type VanishingClientsMessage =
  /** Answers when each has had its first frame. */
  { do: 'open'; streams: Opening[] } | { do: 'report' }

export interface VanishingClientsReport {
  /** By user: heartbeats and events seen, and whether it has ended. */
  streams: Record<string, { frames: number; ended: boolean }>
}

const streams: VanishingClientsReport['streams'] = {}

function open({ user, host, port, over }: Opening): Promise<void> {
  const stream = { frames: 0, ended: false }
  streams[user] = stream
  return new Promise((resolve) => {
    const data = (bytes: Buffer) => {
      stream.frames += bytes.toString('latin1').split('event: ').length - 1
      if (stream.frames > 0) resolve()
    }
    const end = () => {
      stream.ended = true
      resolve()
    }
    if (over === 'http2') {
      const session = connectHttp2(`http://${host.includes(':') ? `[${host}]` : host}:${port}`)
      session.on('error', end)
      session
        .request({ ':path': `/?user=${user}` })
        .on('data', data)
        .on('close', end)
        .on('error', end)
      return
    }
    const socket = over === 'tls' ? connectTls({ ...PSK.client, host, port }) : connect({ host, port })
    socket.on('data', data).on('close', end).on('error', end)
    socket.write(`GET /?user=${user} HTTP/1.1\r\nHost: test\r\n\r\n`)
  })
}

answerMessages<VanishingClientsMessage>(async (message) => {
  if (message.do === 'open') await Promise.all(message.streams.map(open))
  return { streams } satisfies VanishingClientsReport
})
