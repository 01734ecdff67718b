import type { createRequire as CreateRequire } from 'node:module'

export declare const here: string
export declare const createRequire: typeof CreateRequire
