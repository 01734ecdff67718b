/** Who makes and answers calls, in the order of a request. */
export const places = ['outside', 'storefront', 'orders', 'inventory', 'payments']

export const titles = {
  outside: 'customers',
  storefront: 'storefront',
  orders: 'orders',
  inventory: 'inventory',
  payments: 'payments',
}

/** Who calls whom. */
export const connections = [
  ['outside', 'storefront'],
  ['storefront', 'orders'],
  ['storefront', 'inventory'],
  ['orders', 'inventory'],
  ['orders', 'payments'],
  ['outside', 'inventory'],
]
