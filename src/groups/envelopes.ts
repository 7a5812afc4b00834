// The second form of messages, for connections with several channels: each message is encoded once for each name that such connections
// have for its channel, mostly one, and is one call of the fan-out, whatever their number.
import type { Message } from '../pubsub/message.js';
import type { Subscription } from '../pubsub/subscription.js';
import { enveloped, headOf } from './wire.js';

/** A name that connections have for a channel, and the engine's topic of it. */
type Form = {
	readonly alias: string;
	readonly topic: string;
	readonly head: Buffer;
	/** How many subscriptions the fan-out reaches by it. */
	reached: number;
};

export class Envelopes {
	readonly #fanOut: (topic: string, bytes: Uint8Array, isBinary: boolean) => void;
	/** By the topics of the channels. */
	readonly #forms = new Map<string, Form[]>();
	#topics = 0;

	constructor(fanOut: (topic: string, bytes: Uint8Array, isBinary: boolean) => void) {
		this.#fanOut = fanOut;
	}

	/** How many channels have such a connection. */
	get size(): number {
		return this.#forms.size;
	}

	/** Counts a subscription that the fan-out reaches from now on, and gives its topic. */
	attach({ channel, alias = channel.name }: Subscription): string {
		const forms = this.#forms.get(channel.topic) ?? [];
		if (forms.length === 0) this.#forms.set(channel.topic, forms);
		let form = forms.find((form) => form.alias === alias);
		if (form === undefined) {
			// Not the alias: clients could choose names that collide in the engine's table of topics.
			form = { alias, topic: `groups ${++this.#topics}`, head: headOf(alias), reached: 0 };
			forms.push(form);
		}
		form.reached++;
		return form.topic;
	}

	/** The same for one that it reaches no more. */
	detach({ channel, alias = channel.name }: Subscription): string | undefined {
		const forms = this.#forms.get(channel.topic) ?? [];
		const index = forms.findIndex((form) => form.alias === alias);
		const form = forms[index];
		if (form === undefined || --form.reached > 0) return form?.topic;
		forms.splice(index, 1);
		if (forms.length === 0) this.#forms.delete(channel.topic);
		return form.topic;
	}

	/** Hands a message to the connections that the fan-out reaches. */
	publish(topic: string, message: Message): void {
		for (const form of this.#forms.get(topic) ?? none) this.#fanOut(form.topic, enveloped(form.head, message), message.isBinary);
	}
}

const none: readonly Form[] = [];
