import { assert, type IProperty, type Parameters } from 'fast-check'

/** Throws the smallest counterexample it finds. */
export function holds<T>(property: IProperty<T>, parameters?: Parameters<T>): void {
  void assert(property, parameters) // synchronous for a property that is
}
