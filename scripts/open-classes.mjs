import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

/**
 * Takes out of a package's declarations what makes two declarations of one class two types: `#private`, which stands for all that is private,
 * and what is `protected` for ourselves. A program that is half ESM and half CommonJS meets both `.d.ts` and `.d.cts`, and a hub of the one
 * half fits the other only where TypeScript compares what everyone may use.
 *
 * `node ../../scripts/open-classes.mjs`, in the package, after its build.
 */

/**
 * @param {string} name the declarations' file, for messages
 * @param {string} text what is in it
 * @returns {{ text: string, opened: number }} the text without them, and how many there were
 */
export function openClasses(name, text) {
  const source = ts.createSourceFile(name, text, ts.ScriptTarget.Latest, true)
  /** @type {ts.ClassElement[]} */
  const closed = []
  const visit = (/** @type {ts.Node} */ node) => {
    if (ts.isClassElement(node) && isClosed(node)) closed.push(node)
    ts.forEachChild(node, visit)
  }
  visit(source)
  for (const member of closed) {
    if (!isOurs(member)) {
      throw new Error(
        `${name}: "${member.getText()}" is neither for everyone nor @internal: no other declaration fits it`,
      )
    }
  }
  // From the end, so that what lies before keeps its place.
  const rest = closed.reduceRight((left, one) => left.slice(0, one.getFullStart()) + left.slice(one.getEnd()), text)
  return { text: rest, opened: closed.length }
}

/** @param {ts.ClassElement} member a constructor is none: it belongs to the class, not to what it makes */
function isClosed(member) {
  const flags = ts.ModifierFlags.Private | ts.ModifierFlags.Protected
  const isPrivate = member.name !== undefined && ts.isPrivateIdentifier(member.name)
  return isPrivate || (!ts.isConstructorDeclaration(member) && (ts.getCombinedModifierFlags(member) & flags) !== 0)
}

/** @param {ts.ClassElement} member */
function isOurs(member) {
  const isProtected = (ts.getCombinedModifierFlags(member) & ts.ModifierFlags.Protected) !== 0
  return !isProtected || ts.getJSDocTags(member).some(({ tagName }) => tagName.text === 'internal')
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const dist = path.resolve('dist')
  let opened = 0
  for (const file of readdirSync(dist).filter((name) => /\.d\.c?ts$/.test(name))) {
    const result = openClasses(file, readFileSync(path.join(dist, file), 'utf8'))
    if (result.opened > 0) writeFileSync(path.join(dist, file), result.text)
    opened += result.opened
  }
  // The form that these take in declarations is the compiler's affair: where none is found, it has another one.
  if (opened === 0) throw new Error(`${dist}: no class has anything private`)
}
