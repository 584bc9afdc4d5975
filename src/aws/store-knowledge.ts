import { type Capabilities, type Capability, type StoreProfile, without } from '../core/capabilities.ts';

/**
 * What is known of the store by now: by its endpoint, from the probe, and from what it refused. Whoever finds that it
 * lacks something goes on without, and the log says so, once.
 */
export class StoreKnowledge {
  /** Parts that one upload may have. */
  readonly mostParts: number;
  #capabilities: Capabilities;
  readonly #say: (line: string) => void;
  readonly #said = new Set<Capability>();

  /** @param say hears, once for each, what is done without a capability that is missing. */
  constructor({ capabilities, mostParts }: StoreProfile, say: (line: string) => void) {
    this.mostParts = mostParts;
    this.#capabilities = capabilities;
    this.#say = say;
  }

  get capabilities(): Capabilities {
    return this.#capabilities;
  }

  learn(found: Partial<Capabilities>): void {
    this.#capabilities = { ...this.#capabilities, ...found };
  }

  /** Whether the store is known to lack something that is about to be used. */
  lacks(capability: Capability): boolean {
    if (this.#capabilities[capability] !== false) return false;
    if (!this.#said.has(capability)) this.#say(`This store has no ${without(capability)}.`);
    this.#said.add(capability);
    return true;
  }
}
