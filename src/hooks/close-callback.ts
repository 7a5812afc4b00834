// Tells the application which session has ended, unless the application itself ended it.
import type { Events, Party } from '../observe/events.js';
import type { Channel } from '../pubsub/channel.js';
import type { CloseCause } from '../pubsub/close.js';
import type { Retrying } from './delivery.js';
import { DeliveryQueue, type OnOutcome } from './delivery-queue.js';
import type { Service } from './service.js';

/** How many requests are out at once. The ends of two sessions need no order between them. */
export const closeCallbacksAtOnceMax = 16;

export type CloseCallbackParts = {
	readonly service: Service;
	/** The header field that has the session. */
	readonly sessionHeader: string;
	readonly onOutcome: OnOutcome;
	readonly retrying?: Retrying;
};

export class CloseCallback implements Partial<Events> {
	readonly #sessions: DeliveryQueue<string>;

	constructor({ sessionHeader, ...parts }: CloseCallbackParts) {
		this.#sessions = new DeliveryQueue<string>({
			...parts,
			atOnceMax: closeCallbacksAtOnceMax,
			batchItemsMax: 1,
			batchMs: 0,
			delivery: (sessions) => ({ headers: [sessionHeader, ...sessions] }),
		});
	}

	/** How many requests are queued. */
	get queued(): number {
		return this.#sessions.queued;
	}

	closed(cause: CloseCause, _channel: Channel, party: Party | undefined): void {
		// `operator` is the cause of a DELETE and of /close.
		if (party?.session === undefined || cause === 'operator') return;
		this.#sessions.push(party.session);
	}

	/** What is not accepted after `patienceMs` is dropped. */
	finish(patienceMs: number): Promise<void> {
		return this.#sessions.finish(patienceMs);
	}
}
