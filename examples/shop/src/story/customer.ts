import { credentials } from '@grpc/grpc-js'
import {
  createChannel,
  createClient,
  type Interceptor,
  interceptChannel,
  type ServiceClient,
} from '@grpc-stack/grpc-core'
import { HealthService } from '../generated/grpc/health/v1/health.ts'
import { InventoryService } from '../generated/shop/inventory.ts'
import { OperationsService } from '../generated/shop/operations.ts'
import { StorefrontService } from '../generated/shop/storefront.ts'
import { requestId } from '../interceptors/request-id.ts'
import type { Shop } from '../processes/shop.ts'
import type { ServiceName } from '../services/service.ts'

/** The shop's services as somebody outside reaches them. */
export interface Customer {
  readonly storefront: ServiceClient<typeof StorefrontService>
  readonly inventory: ServiceClient<typeof InventoryService>
  operations(service: ServiceName): ServiceClient<typeof OperationsService>
  health(service: ServiceName): ServiceClient<typeof HealthService>
  close(): void
}

export function customer(shop: Shop, subject: string, role = ''): Customer {
  const sign: Interceptor = function sign(call, next) {
    if (subject !== '') call.metadata.set('authorization', `${subject}:${role}`)
    return next()
  }
  const channels = new Map<ServiceName, ReturnType<typeof connect>>()
  const connect = (service: ServiceName) =>
    interceptChannel(createChannel(shop.service(service).address, credentials.createInsecure()), requestId(), sign)
  const channel = (service: ServiceName) => {
    const open = channels.get(service) ?? connect(service)
    channels.set(service, open)
    return open
  }
  return {
    storefront: createClient(StorefrontService, channel('storefront')),
    inventory: createClient(InventoryService, channel('inventory')),
    operations: (service) => createClient(OperationsService, channel(service)),
    health: (service) => createClient(HealthService, channel(service)),
    close() {
      for (const open of channels.values()) open.close()
    },
  }
}
