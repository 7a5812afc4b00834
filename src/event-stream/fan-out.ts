// Hands messages to the event streams of a topic: each is encoded once, and all of one tick are one write to each stream.
import type { Message } from '../pubsub/message.js';
import { eventOf } from './format.js';

/** Takes whole events. */
export type Stream = { write(bytes: Buffer): void };

/** A stream on a topic. */
export type Sink = {
	readonly stream: Stream;
	readonly topic: string;
	/** Its index among the streams of its topic. */
	index: number;
	/** How many of the events that wait for the end of the tick are older than its subscription. */
	skips: number;
};

/** Arrays, because most topics have few streams, and most of the time no event. */
type Topic = { readonly sinks: Sink[]; events: Buffer[]; bytes: number };

const none: Buffer[] = [];
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
		if (topic.events === none) {
			topic.events = [event];
			this.#gather(topic);
		} else {
			topic.events.push(event);
		}
		topic.bytes += event.length;
		if (topic.bytes >= gatheredBytesMax) send(topic);
	}

	/** Adds a stream. It gets what is published from now on. */
	add(name: string, stream: Stream): Sink {
		const topic = this.#topics.get(name);
		if (topic === undefined) {
			const sink = { stream, topic: name, index: 0, skips: 0 };
			this.#topics.set(name, { sinks: [sink], events: none, bytes: 0 });
			return sink;
		}
		const sink = { stream, topic: name, index: topic.sinks.length, skips: topic.events.length };
		topic.sinks.push(sink);
		return sink;
	}

	/** Removes a stream from a topic, and gives the events that it was still to be sent. */
	remove(sink: Sink): Buffer {
		const topic = this.#topics.get(sink.topic);
		if (topic === undefined || topic.sinks[sink.index] !== sink) return nothing;
		const last = topic.sinks.pop();
		if (last !== undefined && last !== sink) {
			topic.sinks[sink.index] = last;
			last.index = sink.index;
		}
		if (topic.sinks.length === 0) this.#topics.delete(sink.topic);
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

/** Sends what a topic has gathered. */
function send(topic: Topic): void {
	const { events, sinks } = topic;
	if (events === none) return;
	topic.events = none;
	topic.bytes = 0;
	const all = joined(events);
	// Backwards: when a stream leaves in its turn, the last stream takes its place, and that one has been served.
	for (let index = sinks.length - 1; index >= 0; index--) {
		const sink = sinks[index] as Sink;
		if (sink.skips === 0) {
			sink.stream.write(all);
		} else {
			sink.stream.write(joined(events.slice(sink.skips)));
			sink.skips = 0;
		}
	}
}

function joined(events: readonly Buffer[]): Buffer {
	const [first] = events;
	return events.length === 1 && first !== undefined ? first : Buffer.concat(events);
}

const nothing = Buffer.alloc(0);
