export {
  type DryRun,
  type DryRunCounters,
  type DryRunOptions,
  dryRun,
  type PolicyDifference,
  type PolicyVerdict,
} from './policy/dry-run.ts'
export { type PolicyChange, type PolicyFile, type PolicyFileOptions, policyFile } from './policy/policy-file.ts'
export { type PolicyJsonOptions, policyFromJson } from './policy/policy-json.ts'
