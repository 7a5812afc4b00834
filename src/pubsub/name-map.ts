// Finds values by channel name, as a Map does. One Map of a million names blocks the loop for a tenth of a second whenever its table
// grows; many small Maps grow one at a time.
import { randomInt } from 'node:crypto';
import type { ChannelName } from './channel-name.js';

// A million names make 4,000 in each: under a millisecond. A power of two, for the mask.
export const partCount = 256;

export class NameMap<Value> {
	readonly #parts = Array.from({ length: partCount }, () => new Map<ChannelName, Value>());
	#size = 0;

	get size(): number {
		return this.#size;
	}

	get(name: ChannelName): Value | undefined {
		return this.#partOf(name).get(name);
	}

	/** Sets what was not there. */
	add(name: ChannelName, value: Value): void {
		this.#partOf(name).set(name, value);
		this.#size++;
	}

	/** Deletes what is there. */
	delete(name: ChannelName): void {
		this.#partOf(name).delete(name);
		this.#size--;
	}

	/** All that is there, in parts of some thousand at the most, so that a caller can rest between two parts. */
	*parts(): Iterable<ReadonlyMap<ChannelName, Value>> {
		yield* this.#parts;
	}

	/** Sets a value, in place of the one that is there, if there is one. */
	set(name: ChannelName, value: Value): void {
		const part = this.#partOf(name);
		if (!part.has(name)) this.#size++;
		part.set(name, value);
	}

	#partOf(name: ChannelName): Map<ChannelName, Value> {
		return this.#parts[partOf(name)] as Map<ChannelName, Value>;
	}
}

// Random for each process, so that no client can choose names that all go into one part.
const offsetBasis = randomInt(2 ** 32);

/** FNV-1a over the whole name: rooms may differ in any part of their paths. */
export function partOf(name: string): number {
	let hash = offsetBasis;
	for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
	return (hash ^ (hash >>> 16)) & (partCount - 1);
}
