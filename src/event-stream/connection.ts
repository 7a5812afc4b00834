// An event stream as a connection: what the rest of the server may do with it, in the engine's terms.
import type { Connection, Grant } from '../connections/connection.js';
import type { HttpResponse } from '../engine.js';
import type { Party } from '../observe/events.js';
import type { Close, CloseCause, DropCause } from '../pubsub/close.js';
import type { Message } from '../pubsub/message.js';
import type { Subscription } from '../pubsub/subscription.js';
import type { Sink, Stream, StreamFanOut } from './fan-out.js';
import { closeComment, comment } from './format.js';

/** What all streams share. */
export type StreamParts = {
	readonly fanOut: StreamFanOut;
	/** The streams that may have something unread in the engine. */
	readonly unsure: Set<StreamConnection>;
	/** Hears when a client has read everything. */
	readonly onRead: (stream: StreamConnection) => void;
	/** Ends the subscriptions, once. */
	readonly leave: (stream: StreamConnection) => void;
	/** Does something to a stream, so that a throw ends the stream, and not the process. */
	readonly guard: (stream: StreamConnection, act: () => void) => void;
	/** The client's address, as its socket has it. */
	readonly addressOf: (res: HttpResponse) => string;
};

// The engine does not tell how much of a response is unread. A write says whether all that was written before it is out. So the engine gets
// a piece at a time, and the rest waits here, as views of bytes that all streams share. A piece must fit the engine's buffer of 16 KiB,
// beside the lines of its chunk: corked, a larger one would be lost where the client has left something unread.
const pieceBytes = 16_000;
// A write that only asks whether all is out: so little that it cannot pile up.
const probeBytes = 256;
// The queue of every stream in which nothing waits.
const empty: Buffer[] = [];
// Between two events, an empty line means nothing.
const emptyLine = Buffer.from('\n');

export class StreamConnection implements Connection, Stream {
	readonly id: number;
	readonly grant: Grant;
	readonly party: Party | undefined;
	place: number | undefined = undefined;
	subscription: Subscription | undefined = undefined;
	closeCause: CloseCause | undefined = undefined;
	readonly #parts: StreamParts;
	/** Undefined when there is no connection any more: the engine throws then. */
	#res: HttpResponse | undefined;
	/** One for each topic whose fan-out reaches it. */
	#sinks: Sink[] = [];
	/** What the engine has not got yet. */
	#queue: Buffer[] = empty;
	#queuedBytes = 0;
	/** Whether the last write found that the client had not read what was written before. */
	#isBlocked = false;
	/** How many bytes the engine may hold: those of the last write, or while it is blocked, all since the first that it may have kept. */
	#heldBytes = 0;
	/** Whether the stream ends when all of it has been read. The subscriptions have ended already. */
	#isEnding = false;

	constructor(id: number, grant: Grant, party: Party | undefined, res: HttpResponse, parts: StreamParts) {
		this.id = id;
		this.grant = grant;
		this.party = party;
		this.#res = res;
		this.#parts = parts;
		res.onWritable(() => {
			parts.guard(this, () => this.probe());
			return true;
		});
	}

	get groups(): undefined {
		return undefined;
	}

	attach({ channel }: Subscription): boolean {
		if (this.#res === undefined) return false;
		this.#sinks.push(this.#parts.fanOut.add(channel.topic, this));
		return true;
	}

	detach({ channel }: Subscription): void {
		const index = this.#sinks.findIndex((sink) => sink.topic === channel.topic);
		for (const sink of this.#sinks.splice(index, index < 0 ? 0 : 1)) this.write(this.#parts.fanOut.remove(sink));
	}

	send(message: Message): boolean {
		this.write(this.#parts.fanOut.eventOfKept(message));
		return this.unreadBytes() === 0;
	}

	caughtUp(): void {}

	gather(write: () => void): void {
		// Not corked: each write is, and no more may be in the engine's buffer than one of them. See pieceBytes.
		write();
	}

	/** Zero until a write finds the stream blocked. Then all counts that the engine was given since, until all of it is out. */
	unreadBytes(): number {
		return this.#isBlocked ? this.#heldBytes + this.#queuedBytes : 0;
	}

	address(): string {
		return this.party?.ip ?? (this.#res === undefined ? '' : this.#parts.addressOf(this.#res));
	}

	end({ cause, reason }: Close): void {
		if (this.#res === undefined || this.#isEnding) return;
		this.closeCause ??= cause;
		for (const sink of this.#sinks.splice(0)) this.write(this.#parts.fanOut.remove(sink));
		this.write(closeComment(reason));
		this.#isEnding = true;
		// A client that reads nothing more is dropped by the engine.
		this.#parts.unsure.delete(this);
		this.#leave();
		this.#endIfSent();
	}

	drop(cause: DropCause): void {
		this.closeCause ??= cause;
		// The engine calls onAborted in this turn.
		this.#res?.close();
	}

	/** To be called when the connection has gone. */
	gone(): void {
		this.#res = undefined;
		this.#parts.unsure.delete(this);
		this.#queue = empty;
		if (this.subscription === undefined || this.#isEnding) return;
		for (const sink of this.#sinks.splice(0)) this.#parts.fanOut.remove(sink);
		this.#leave();
	}

	#leave(): void {
		this.#parts.guard(this, () => this.#parts.leave(this));
	}

	/** Sends whole events. */
	write(bytes: Buffer): void {
		if (bytes.length === 0 || this.#res === undefined) return;
		// What can go out at once needs no queue: most streams never have one.
		if (!this.#isBlocked && this.#queue.length === 0 && bytes.length <= pieceBytes) {
			this.#hand(bytes);
			return;
		}
		if (this.#queue === empty) this.#queue = [];
		this.#queue.push(bytes);
		this.#queuedBytes += bytes.length;
		this.#handQueued();
	}

	/** Sends a comment, unless something waits to be read. */
	keepAlive(): void {
		if (!this.#isBlocked) this.write(comment);
	}

	/**
	 * Finds out whether all is out, and goes on if it is. To be called from time to time while that is not known, at least every eight
	 * seconds: ten seconds after a write that left something the engine drops the connection by itself.
	 */
	probe(): void {
		const wasBlocked = this.#isBlocked;
		this.#hand(this.#queue.length === 0 ? emptyLine : this.#nextBytes(probeBytes));
		if (this.#isBlocked) return;
		if (this.#queue.length === 0) this.#parts.unsure.delete(this);
		this.#handQueued();
		if (this.#isBlocked) return;
		if (this.#isEnding) this.#endIfSent();
		else if (wasBlocked) this.#parts.onRead(this);
	}

	#handQueued(): void {
		while (!this.#isBlocked && this.#queue.length > 0) this.#hand(this.#nextBytes(pieceBytes));
	}

	/** Takes the next bytes from the queue: no more than that, and of one write. */
	#nextBytes(bytesMax: number): Buffer {
		const [first = emptyLine] = this.#queue;
		const bytes = first.subarray(0, bytesMax);
		if (bytes.length === first.length) this.#queue.shift();
		else this.#queue[0] = first.subarray(bytes.length);
		this.#queuedBytes -= bytes.length;
		return bytes;
	}

	/** Hands bytes to the engine, which keeps what the client does not read. */
	#hand(bytes: Buffer): void {
		const res = this.#res;
		if (res === undefined) return;
		let isOut = true;
		// Corked, or each line of the chunk would be a system call.
		res.cork(() => {
			isOut = res.write(bytes);
		});
		this.#heldBytes = isOut ? bytes.length : this.#heldBytes + bytes.length;
		this.#isBlocked = !isOut;
		// A stream that is ending gets no more time than the engine gives it.
		if (!this.#isEnding) this.#parts.unsure.add(this);
	}

	#endIfSent(): void {
		const res = this.#res;
		if (res === undefined || this.#queue.length > 0) return;
		this.#res = undefined;
		// Without `Connection: close`: the engine would write that field after the last event. What a client does not read holds the
		// connection for ten seconds at the most.
		res.cork(() => void res.end());
	}
}
