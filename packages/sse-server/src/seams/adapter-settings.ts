import { quote } from '@entitycast/sse-protocol'

export interface SettingsRules<Settings> {
  /** As messages name it: `RedisAdapter`. */
  readonly adapter: string
  /** Options that must be given, beside those with defaults. */
  readonly required?: readonly string[]
  readonly defaults: Settings
  /** Settings that are whole numbers, from the least to the most. */
  readonly ranges: readonly (readonly [name: keyof Settings & string, least: number, most: number])[]
  readonly invalid: (message: string) => Error
}

/** What an adapter was given, over its defaults. Throws what `invalid` makes for a name that is no option, and for a number out of its range. */
export function readSettings<Settings extends object>(given: object, rules: SettingsRules<Settings>): Settings {
  const { adapter, required = [], defaults, ranges, invalid } = rules
  const settings = { ...defaults }
  for (const [name, value] of Object.entries(given)) {
    if (!Object.hasOwn(settings, name)) {
      const names = [...required, ...Object.keys(settings)].join(', ')
      throw invalid(`${name} is not an option of ${adapter}; there are ${names}`)
    }
    if (value !== undefined) Object.assign(settings, { [name]: value })
  }
  for (const [name, least, most] of ranges) {
    const value: unknown = settings[name]
    if (typeof value !== 'number' || !Number.isInteger(value) || value < least || value > most) {
      throw invalid(`${name} is ${quote(value)}; it must be a whole number from ${least} to ${most}`)
    }
  }
  return settings
}
