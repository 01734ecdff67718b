// Loaded by vitest before each test file. Tests and the processes they start print plain text, whatever ran them wishes: Nx sets
// FORCE_COLOR for its tasks, for one.
delete process.env.FORCE_COLOR
delete process.env.NO_COLOR
