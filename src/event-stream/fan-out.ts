// Hands messages to the event streams of a topic: each is encoded once, and all of one tick are one write to each stream.
import type { Message } from '../pubsub/message.js';
import { eventOf } from './format.js';

/** A stream, as the fan-out sees it. */
export interface Sink {
	/** Sends bytes: whole events. */
	write(bytes: Buffer): void;
	/** How many of the events that wait for the end of the tick are older than its subscription. */
	skips: number;
}

type Topic = { readonly sinks: Set<Sink>; events: Buffer[]; bytes: number };

// A topic does not gather more than that, or a message more.
const gatheredBytesMax = 65_536;

export class StreamFanOut {
	readonly #topics = new Map<string, Topic>();
	#gathering: Topic[] = [];
	readonly #kept = new WeakMap<Message, Buffer>();

	/** How many topics have a stream. */
	get size(): number {
		return this.#topics.size;
	}

	/** The event of a message that is kept for streams that catch up: encoded for the first of them. */
	eventOfKept(message: Message): Buffer {
		let event = this.#kept.get(message);
		if (event === undefined) {
			event = eventOf(message);
			this.#kept.set(message, event);
		}
		return event;
	}

	/** Sends a message to the streams of a topic, at the end of the tick. */
	publish(name: string, message: Message): void {
		const topic = this.#topics.get(name);
		if (topic === undefined) return;
		const event = eventOf(message);
		if (topic.events.length === 0) this.#gather(topic);
		topic.events.push(event);
		topic.bytes += event.length;
		if (topic.bytes >= gatheredBytesMax) send(topic);
	}

	/** Adds a stream. It gets what is published from now on. */
	add(name: string, sink: Sink): void {
		let topic = this.#topics.get(name);
		if (topic === undefined) {
			topic = { sinks: new Set(), events: [], bytes: 0 };
			this.#topics.set(name, topic);
		}
		sink.skips = topic.events.length;
		topic.sinks.add(sink);
	}

	/** Removes a stream, and gives the events that it was still to be sent. */
	remove(name: string, sink: Sink): Buffer {
		const topic = this.#topics.get(name);
		if (topic === undefined || !topic.sinks.delete(sink)) return nothing;
		if (topic.sinks.size === 0) this.#topics.delete(name);
		return Buffer.concat(topic.events.slice(sink.skips));
	}

	#gather(topic: Topic): void {
		if (this.#gathering.push(topic) === 1) setImmediate(this.#endTick);
	}

	readonly #endTick = (): void => {
		const gathering = this.#gathering;
		this.#gathering = [];
		for (const topic of gathering) send(topic);
	};
}

/** Sends what a topic has gathered. A stream that has too much unread is dropped elsewhere, so none leaves meanwhile. */
function send(topic: Topic): void {
	const { events, sinks } = topic;
	if (events.length === 0) return;
	topic.events = [];
	topic.bytes = 0;
	const all = joined(events);
	for (const sink of sinks) {
		if (sink.skips === 0) {
			sink.write(all);
		} else {
			sink.write(joined(events.slice(sink.skips)));
			sink.skips = 0;
		}
	}
}

function joined(events: readonly Buffer[]): Buffer {
	const [first] = events;
	return events.length === 1 && first !== undefined ? first : Buffer.concat(events);
}

const nothing = Buffer.alloc(0);
