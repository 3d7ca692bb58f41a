import { describe, expect, it } from 'vitest'
import { openClasses } from '../../scripts/open-classes.mjs'

const open = (...members: string[]) => openClasses('index.d.ts', `declare class Hub {\n${members.join('\n')}\n}\n`)

describe('declarations of a class', () => {
  it('lose what is private, and what is protected for ourselves, with its comment', () => {
    const members = [
      '    #private;',
      '    private log;',
      '    /** For us. @internal */\n    protected changed(): void;',
    ]
    const rest = '    close(): void;'
    expect(open(...members, rest)).toEqual({ text: `declare class Hub {\n${rest}\n}\n`, opened: 3 })
  })

  it('keep everything else: a constructor that is protected makes no difference to what it makes', () => {
    const members = [
      '    protected constructor(name: string);',
      '    readonly name: string;',
      '    get open(): boolean;',
    ]
    expect(open(...members)).toEqual({ text: `declare class Hub {\n${members.join('\n')}\n}\n`, opened: 0 })
  })

  it('have nothing protected for others: no copy of the class would fit', () => {
    expect(() => open('    protected changed(): void;')).toThrow('index.d.ts: "protected changed(): void;"')
  })
})
