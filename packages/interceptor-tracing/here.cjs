// Where this package is, to resolve other packages from. Sources cannot ask: `import.meta` does not compile to CommonJS, nor does
// an ES module have `__filename`. In a bundle that has neither, where the program is.
exports.here = typeof __filename === 'string' ? __filename : (process.argv[1] ?? `${process.cwd()}/`)
