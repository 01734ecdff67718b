export { type ClusterStore, type ClusterStoreOptions, clusterStore } from './stores/cluster-store.ts'
