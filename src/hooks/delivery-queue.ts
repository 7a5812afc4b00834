// What one service is still to be told: bounded, in order, several items in one request, and a bounded number of requests at once.
import type { CallbackOutcome } from '../observe/events.js';
import { type Delivery, deliver, type Retrying, threeRetries } from './delivery.js';
import type { Service } from './service.js';

/** Whether the service accepted so many items, or they were given up: then with the reason. */
export type OnOutcome = (outcome: CallbackOutcome, count: number, why: string | undefined) => void;

export type DeliveryQueueParts<Item> = {
	readonly service: Service;
	/** How many requests are out at once. A request that is being repeated counts, so 1 keeps the order. */
	readonly atOnceMax: number;
	/** How many items go into one request, and how long the first of them waits for others. */
	readonly batchItemsMax: number;
	readonly batchMs: number;
	/** Made when the items go out, not when they come in. */
	readonly delivery: (items: readonly Item[]) => Delivery;
	readonly onOutcome: OnOutcome;
	readonly retrying?: Retrying;
};

/** How many items may be queued, those on their way included: some 2 MB of events. */
export const queuedMax = 10_000;

// The timers keep the process alive. With --mport off, a stopping server whose clients have left may have nothing else that does. `finish`
// ends them.
export class DeliveryQueue<Item> {
	readonly #parts: DeliveryQueueParts<Item>;
	#waiting: Item[] = [];
	/** Each cancels a request that is out. */
	readonly #out = new Set<() => void>();
	#itemsOut = 0;
	/** Whether the first item need not wait for others any longer. */
	#isDue = false;
	#fill: NodeJS.Timeout | undefined;
	#isSendScheduled = false;
	#isFinishing = false;
	#onEmpty = () => {};

	constructor(parts: DeliveryQueueParts<Item>) {
		this.#parts = parts;
	}

	/** How many items the service has not accepted yet. */
	get queued(): number {
		return this.#waiting.length + this.#itemsOut;
	}

	/** Queues an item. If the queue is full, the item is dropped: the service then has everything up to a certain moment. */
	push(item: Item): void {
		const { batchItemsMax, batchMs, onOutcome } = this.#parts;
		if (this.queued >= queuedMax) {
			onOutcome('dropped', 1, 'the queue is full');
			return;
		}
		this.#waiting.push(item);
		if (this.#isDue) return;
		if (this.#isFinishing || this.#waiting.length >= batchItemsMax) this.#becomeDue();
		else this.#fill ??= setTimeout(this.#becomeDue, batchMs);
	}

	/**
	 * Sends what is queued at once, and from now on each item. Resolves when nothing is queued. What the service has not accepted after
	 * `patienceMs` is dropped.
	 */
	async finish(patienceMs: number): Promise<void> {
		this.#isFinishing = true;
		if (this.queued === 0) return;
		this.#becomeDue();
		await new Promise<void>((resolve) => {
			const patience = setTimeout(() => this.#giveUp(), patienceMs);
			this.#onEmpty = () => {
				clearTimeout(patience);
				resolve();
			};
		});
	}

	readonly #becomeDue = (): void => {
		this.#isDue = true;
		clearTimeout(this.#fill);
		this.#fill = undefined;
		this.#sendSoon();
	};

	/** Not at once: `push` may be called thousands of times in this turn. */
	#sendSoon(): void {
		if (this.#isSendScheduled) return;
		this.#isSendScheduled = true;
		setImmediate(this.#send);
	}

	readonly #send = (): void => {
		const { atOnceMax, batchItemsMax } = this.#parts;
		this.#isSendScheduled = false;
		while (this.#isDue && this.#waiting.length > 0 && this.#out.size < atOnceMax) {
			this.#deliver(this.#waiting.splice(0, batchItemsMax));
			// The items that are left do not wait for others again: they go out as soon as there is room for a request.
			this.#isDue = this.#waiting.length > 0;
		}
	};

	#deliver(items: readonly Item[]): void {
		const { service, delivery, onOutcome, retrying = threeRetries } = this.#parts;
		this.#itemsOut += items.length;
		const cancel = deliver(service, delivery(items), retrying, (failure) => {
			this.#out.delete(cancel);
			this.#itemsOut -= items.length;
			onOutcome(failure === undefined ? 'sent' : 'dropped', items.length, failure);
			if (this.queued === 0) this.#onEmpty();
			else this.#sendSoon();
		});
		this.#out.add(cancel);
	}

	#giveUp(): void {
		const left = this.queued;
		for (const cancel of this.#out) cancel();
		this.#out.clear();
		this.#itemsOut = 0;
		this.#waiting = [];
		this.#isDue = false;
		this.#parts.onOutcome('dropped', left, 'the server stopped before they were accepted');
		this.#onEmpty();
	}
}
