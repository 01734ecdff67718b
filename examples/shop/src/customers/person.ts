import { credentials } from '@grpc/grpc-js'
import {
  type Channel,
  type ClientCall,
  createChannel,
  createClient,
  type Interceptor,
  interceptChannel,
  type ServiceClient,
} from '@grpc-stack/grpc-core'
import { clientAuth } from '@grpc-stack/interceptor-auth'
import { HealthService } from '../generated/grpc/health/v1/health.ts'
import { InventoryService } from '../generated/shop/inventory.ts'
import { OperationsService } from '../generated/shop/operations.ts'
import { StorefrontService } from '../generated/shop/storefront.ts'
import type { Shop } from '../processes/shop.ts'
import type { ServiceName } from '../services/service.ts'
import type { Issuer, Role } from '../tokens/issuer.ts'

/** The shop as a client outside reaches it. */
export interface Person {
  readonly storefront: ServiceClient<typeof StorefrontService>
  readonly inventory: ServiceClient<typeof InventoryService>
  operations(service: ServiceName): ServiceClient<typeof OperationsService>
  health(service: ServiceName): ServiceClient<typeof HealthService>
}

/** Knows everybody who uses the shop, and closes their connections at the end. */
export class People {
  readonly #shop: Shop
  readonly #issuer: Issuer
  readonly #observers: readonly Interceptor[]
  readonly #known = new Map<string, Person>()
  readonly #channels = new Map<ServiceName, Channel>()

  constructor(shop: Shop, issuer: Issuer, observers: readonly Interceptor[]) {
    this.#shop = shop
    this.#issuer = issuer
    this.#observers = observers
  }

  /** A person with a role, logged in when they make their first call. */
  get(subject: string, role: Role = 'customer'): Person {
    let person = this.#known.get(subject)
    if (person === undefined) {
      const token = () => this.#issuer.issue(subject, role)
      person = this.#person(clientAuth({ token, allowInsecure: true }))
      this.#known.set(subject, person)
    }
    return person
  }

  /** Forgets all tokens: each person that `get` returns from now on logs in again. */
  logOut(): void {
    this.#known.clear()
  }

  /** A person who shows this token, or none. */
  stranger(token?: string): Person {
    return token === undefined ? this.#person() : this.#person(clientAuth({ token, allowInsecure: true }))
  }

  close(): void {
    for (const channel of this.#channels.values()) channel.close()
  }

  #person(...auth: Interceptor<ClientCall>[]): Person {
    const to = (service: ServiceName) => interceptChannel(this.#channel(service), ...this.#observers, ...auth)
    return {
      storefront: createClient(StorefrontService, to('storefront')),
      inventory: createClient(InventoryService, to('inventory')),
      operations: (service) => createClient(OperationsService, to(service)),
      health: (service) => createClient(HealthService, to(service)),
    }
  }

  /** One connection to each service, shared by everybody. */
  #channel(service: ServiceName): Channel {
    let channel = this.#channels.get(service)
    if (channel === undefined) {
      channel = createChannel(this.#shop.service(service).address, credentials.createInsecure(), {
        'grpc.initial_reconnect_backoff_ms': 100,
        'grpc.max_reconnect_backoff_ms': 500,
      })
      this.#channels.set(service, channel)
    }
    return channel
  }
}
