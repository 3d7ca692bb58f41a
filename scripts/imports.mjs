import ts from 'typescript'

/** @typedef {{ specifier: string, line: number, typeOnly: boolean }} Import */

/** What a pure package must not touch, where the file has not declared such a name itself. */
const IMPURE_GLOBALS = new Set(
  (
    'setTimeout setInterval setImmediate clearTimeout clearInterval clearImmediate queueMicrotask requestAnimationFrame ' +
    'process Buffer require module __dirname __filename global ' +
    'window document navigator location localStorage sessionStorage history fetch EventSource XMLHttpRequest WebSocket ' +
    'performance crypto'
  ).split(' '),
)

/**
 * Every import of a file: static, `export … from`, `import()`, `require()`, `import x = require()` and `import('x').T`.
 *
 * @param {ts.SourceFile} source
 */
export function importsOf(source) {
  /** @type {Import[]} */
  const found = []
  const add = (/** @type {ts.Node | undefined} */ node, /** @type {boolean} */ typeOnly) => {
    if (node && ts.isStringLiteralLike(node)) found.push({ specifier: node.text, line: lineOf(source, node), typeOnly })
  }
  const visit = (/** @type {ts.Node} */ node) => {
    if (ts.isImportDeclaration(node)) add(node.moduleSpecifier, onlyTypes(node.importClause))
    else if (ts.isExportDeclaration(node)) add(node.moduleSpecifier, onlyTypes(node))
    else if (ts.isImportEqualsDeclaration(node) && ts.isExternalModuleReference(node.moduleReference))
      add(node.moduleReference.expression, node.isTypeOnly)
    else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) add(node.argument.literal, true)
    else if (ts.isCallExpression(node)) {
      const callee = node.expression
      if (callee.kind === ts.SyntaxKind.ImportKeyword || (ts.isIdentifier(callee) && callee.text === 'require'))
        add(node.arguments[0], false)
    }
    ts.forEachChild(node, visit)
  }
  visit(source)
  return found
}

/** Whether nothing of it is left at run time, so that no second copy of the target can be bundled. */
function onlyTypes(/** @type {ts.ImportClause | ts.ExportDeclaration | undefined} */ node) {
  if (!node) return false
  if (node.isTypeOnly) return true
  if (ts.isImportClause(node) && node.name) return false
  const bindings = ts.isImportClause(node) ? node.namedBindings : node.exportClause
  if (!bindings || !(ts.isNamedImports(bindings) || ts.isNamedExports(bindings))) return false
  return [...bindings.elements].every(
    (/** @type {ts.ImportSpecifier | ts.ExportSpecifier} */ element) => element.isTypeOnly,
  )
}

/**
 * Where a file reads a global that belongs to Node, to a browser or to a clock.
 *
 * @param {ts.SourceFile} source
 */
export function impureUses(source) {
  /** @type {Set<string>} */
  const declared = new Set()
  /** @type {{ name: string, line: number }[]} */
  const uses = []
  const collect = (/** @type {ts.Node} */ node) => {
    if (
      (ts.isVariableDeclaration(node) || ts.isParameter(node) || ts.isBindingElement(node)) &&
      ts.isIdentifier(node.name)
    )
      declared.add(node.name.text)
    if ((ts.isFunctionDeclaration(node) || ts.isClassDeclaration(node) || ts.isImportSpecifier(node)) && node.name)
      declared.add(node.name.text)
    ts.forEachChild(node, collect)
  }
  const visit = (/** @type {ts.Node} */ node) => {
    if (
      ts.isIdentifier(node) &&
      isRead(node) &&
      (node.text === 'globalThis' || (IMPURE_GLOBALS.has(node.text) && !declared.has(node.text)))
    ) {
      uses.push({ name: node.text, line: lineOf(source, node) })
    }
    ts.forEachChild(node, visit)
  }
  collect(source)
  visit(source)
  return uses
}

/** Whether an identifier reads a variable, rather than naming a member, a property or a type's field. */
function isRead(/** @type {ts.Identifier} */ node) {
  const parent = node.parent
  if (ts.isPropertyAccessExpression(parent) || ts.isQualifiedName(parent))
    return ('name' in parent ? parent.name : parent.right) !== node
  if ('name' in parent && parent.name === node && !ts.isShorthandPropertyAssignment(parent)) return false
  return !(ts.isBindingElement(parent) && parent.propertyName === node)
}

function lineOf(/** @type {ts.SourceFile} */ source, /** @type {ts.Node} */ node) {
  return source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1
}
