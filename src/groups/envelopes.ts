// Publishes messages with a head. Each name that connections with several channels have for a channel, mostly one, is a topic of the engine:
// one encoding and one call for each message, whatever the number of connections.
import type { ChannelName } from '../pubsub/channel-name.js';
import type { Message } from '../pubsub/message.js';
import type { Subscription } from '../pubsub/subscription.js';
import { enveloped, headOf } from './wire.js';

/** A name that connections have for a channel, and the engine's topic of it. */
type Form = {
	readonly topic: string;
	readonly head: Buffer;
	/** How many subscriptions the fan-out reaches by it. */
	reached: number;
};

export class Envelopes {
	readonly #fanOut: (topic: string, bytes: Uint8Array, isBinary: boolean) => void;
	/** By the topics of the channels, and by their names. */
	readonly #forms = new Map<string, Map<ChannelName, Form>>();
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
		const forms = this.#forms.get(channel.topic) ?? new Map<ChannelName, Form>();
		if (forms.size === 0) this.#forms.set(channel.topic, forms);
		let form = forms.get(alias);
		if (form === undefined) {
			// Not the alias: clients could choose names that collide in the engine's table of topics.
			form = { topic: `groups ${++this.#topics}`, head: headOf(alias), reached: 0 };
			forms.set(alias, form);
		}
		form.reached++;
		return form.topic;
	}

	/** Counts off a subscription that the fan-out no longer reaches, and gives its topic. */
	detach({ channel, alias = channel.name }: Subscription): string | undefined {
		const forms = this.#forms.get(channel.topic);
		const form = forms?.get(alias);
		if (forms === undefined || form === undefined) return undefined;
		if (--form.reached > 0) return form.topic;
		forms.delete(alias);
		if (forms.size === 0) this.#forms.delete(channel.topic);
		return form.topic;
	}

	/** The same message for one connection that the fan-out does not reach now. */
	envelopeFor({ channel, alias = channel.name }: Subscription, message: Message): Buffer {
		return enveloped(headOf(alias), message);
	}

	/** Hands a message to the connections that the fan-out reaches. */
	publish(topic: string, message: Message): void {
		const forms = this.#forms.get(topic);
		if (forms === undefined) return;
		for (const form of forms.values()) this.#fanOut(form.topic, enveloped(form.head, message), message.isBinary);
	}
}
