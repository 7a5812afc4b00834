// Gives each of many items a fixed place, so that they can be listed piece by piece while items come and go.

// What a free place holds is the next free one.
const none = -1;

/**
 * An array with holes. An item that is there throughout a listing is listed exactly once, with nothing sorted, copied or kept for the
 * listing. It takes one reference per item. Holes are filled first; the memory is freed when no item is left.
 */
export class Places<Item extends object> {
	#places: (Item | number)[] = [];
	#firstFree = none;
	#items = 0;

	get count(): number {
		return this.#items;
	}

	/** Gives the place that the item has until it is removed from it. */
	add(item: Item): number {
		this.#items++;
		if (this.#firstFree === none) return this.#places.push(item) - 1;
		const place = this.#firstFree;
		this.#firstFree = this.#places[place] as number;
		this.#places[place] = item;
		return place;
	}

	remove(place: number): void {
		this.#places[place] = this.#firstFree;
		this.#firstFree = place;
		if (--this.#items > 0) return;
		this.#places = [];
		this.#firstFree = none;
	}

	/**
	 * Shows what is at `placesMax` places from `place` on, until `visit` says that it is enough. Gives the place to go on
	 * from; undefined if there is none.
	 */
	visit(place: number, placesMax: number, visit: (item: Item) => 'more' | 'enough'): number | undefined {
		const end = Math.min(place + placesMax, this.#places.length);
		let next = place;
		while (next < end) {
			const item = this.#places[next++];
			if (typeof item === 'object' && visit(item) === 'enough') break;
		}
		return next < this.#places.length ? next : undefined;
	}
}
