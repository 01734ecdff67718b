// Where this package is, to resolve other packages from. Sources cannot ask: `import.meta` does not compile to CommonJS, nor does
// an ES module have `__filename`. In a bundle that has neither, where the program is. And `createRequire`, in a way that bundlers do
// not take for a list of what to bundle.
const { isAbsolute } = process.getBuiltinModule('node:path')

const known = [typeof __filename === 'string' ? __filename : undefined, process.argv[1]]
exports.here = known.find((file) => file !== undefined && isAbsolute(file)) ?? `${process.cwd()}/`
exports.createRequire = process.getBuiltinModule('node:module').createRequire
