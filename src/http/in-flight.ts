// Counts requests, and messages that are being judged, that have begun and not ended, so that stopping can wait for them.

export class InFlight {
	#count = 0;
	#onIdle: () => void = () => {};

	begin(): void {
		this.#count++;
	}

	end(): void {
		if (--this.#count === 0) this.#onIdle();
	}

	/** Resolves when there is none, or after `patienceMs`. */
	idle(patienceMs: number): Promise<void> {
		if (this.#count === 0) return Promise.resolve();
		return new Promise((resolve) => {
			const patience = setTimeout(resolve, patienceMs);
			this.#onIdle = () => {
				clearTimeout(patience);
				resolve();
			};
		});
	}
}
