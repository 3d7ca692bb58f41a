import { randomBytes } from 'node:crypto'
import { channelName, type NamedEvent } from '@entitycast/sse-protocol'
import { Inject, Injectable } from '@nestjs/common'
import { EventEmitter2 } from '@nestjs/event-emitter'
import type { ActivityRow, Person } from '../../shared/model.js'
import { Database } from '../database.js'

const ROWS = 30

/**
 * Who did what. This part of the app knows nothing of the hub: it emits on Nest's EventEmitter2, as applications do that
 * were there before, and `EventsModule.forRoot({ eventEmitter: true })` carries `events.<projectId>` on to the pages.
 */
@Injectable()
export class Activity {
  constructor(
    @Inject(Database) private readonly database: Database,
    @Inject(EventEmitter2) private readonly emitter: EventEmitter2,
  ) {}

  async record(projectId: string, person: Person, text: string): Promise<void> {
    const id = `act_${randomBytes(6).toString('hex')}`
    const entry: ActivityRow = { id, userName: person.name, text, at: new Date().toISOString() }
    await this.database.execute('INSERT INTO activity (id, project_id, user_name, text, at) VALUES (?, ?, ?, ?, ?)', [
      id,
      projectId,
      entry.userName,
      text,
      entry.at,
    ])
    const event: NamedEvent<'activity:recorded', ActivityRow> = {
      type: 'activity:recorded',
      projectId,
      timestamp: entry.at,
      userId: person.id,
      data: entry,
    }
    this.emitter.emit(channelName(projectId), event)
  }

  /** The newest first. */
  async latest(projectId: string): Promise<ActivityRow[]> {
    const { rows } = await this.database.execute(
      `SELECT id, user_name, text, at FROM activity WHERE project_id = ? ORDER BY at DESC, id LIMIT ${ROWS}`,
      [projectId],
    )
    return rows.map((row) => ({
      id: String(row.id),
      userName: String(row.user_name),
      text: String(row.text),
      at: String(row.at),
    }))
  }
}
