// One connection to one server of Redis or Valkey, for publishing and for the messages of its subscriptions. It never reconnects: a
// connection that is lost has lost messages, so its owner has to hear of it and open another. Only this file, opening.ts and
// publish-command.ts load ioredis, and only a server with a relay does.
import { type Redis, ReplyError } from 'ioredis';
import type { ServerState } from './handshake.js';
import { PublishCommand, publishScript } from './publish-command.js';

export type LinkParts = {
	/** Gets everything that is published on the subscribed channels, in the order of the server. */
	readonly onMessage: (link: Link, channel: Buffer, payload: Buffer) => void;
	/** Hears that the server has ended a subscription by itself, because the slot of its channel went to another server. */
	readonly onEnded: (link: Link) => void;
	/** Hears once that the connection is lost, and why. */
	readonly onLost: (link: Link, reason: string) => void;
	/** Hears how long the server took to answer, for some of the commands. */
	readonly onRoundTrip: (seconds: number) => void;
	/** Hears the error that one of these functions, or a function that waits for an answer, has thrown. The connection is given up then. */
	readonly onFault: (error: unknown) => void;
	/** How long an answer may take. */
	readonly timeoutMs: number;
};

/** The outcome of a command: the server's number, its error, or `lost`: without an answer, it may have been done or not. */
export type Answer = number | Error | 'lost';

// How often within the time-out an idle connection is tried.
const triesPerTimeout = 4;
// A hundred times a second are enough for a histogram.
const timingMsMin = 10;

export class Link {
	/** As the log shows it. */
	readonly address: string;
	readonly state: ServerState;
	readonly #redis: Redis;
	readonly #parts: LinkParts;
	#isLost = false;
	#isCorked = false;
	#pending = 0;
	/** When the server answered last, or began to owe an answer, by performance.now(). */
	#heardMs = performance.now();
	/** When the time of a command is taken again, by performance.now(). */
	#nextTimingMs = 0;
	readonly #beat: NodeJS.Timeout;
	/** How many subscriptions the server has ended by itself, since the owner last set this to 0. */
	ended = 0;

	/** To be called by openLink, with a connection whose server has been checked. */
	constructor(address: string, state: ServerState, redis: Redis, parts: LinkParts) {
		this.address = address;
		this.state = state;
		this.#redis = redis;
		this.#parts = parts;
		redis.on('smessageBuffer', (channel: Buffer, payload: Buffer) => {
			this.#heardMs = performance.now();
			this.#guard(() => {
				if (!this.#isLost) parts.onMessage(this, channel, payload);
			});
		});
		redis.on('moved', () => {
			this.ended++;
			parts.onEnded(this);
		});
		redis.on('error', (error: Error) => this.lose(error.message));
		redis.on('close', () => this.lose('the server closed the connection'));
		this.#beat = setInterval(() => this.#try(), parts.timeoutMs / triesPerTimeout).unref();
	}

	get isLost(): boolean {
		return this.#isLost;
	}

	/** Publishes, and gives how many clients of the server are subscribed. */
	publish(channel: Buffer, payload: Buffer, done: (answer: Answer) => void): void {
		this.#send(() => this.#redis.sendCommand(new PublishCommand(channel, payload)) as Promise<unknown>, done);
	}

	/** Subscribes to one channel. Messages that are published after the answer come here. */
	subscribe(channel: Buffer, done: (answer: Answer) => void): void {
		this.#send(
			() => this.#redis.ssubscribe(channel),
			(answer) => {
				// ioredis reports this error as if the server had ended a subscription.
				if (answer instanceof Error && answer.message.startsWith('MOVED ')) this.ended--;
				done(answer);
			},
		);
	}

	unsubscribe(channel: Buffer): void {
		this.#send(() => this.#redis.sunsubscribe(channel), ignore);
		// If the server ends another subscription before it refuses this command (MOVED), ioredis takes that for the answer, and the refusal
		// for the answer to the next command. From there on, every command would get the answer of the one before it.
		this.#send(() => this.#redis.ping(), this.#loseIfRefused);
	}

	/** How many clients of the server are subscribed to a channel. */
	count(channel: Buffer, done: (answer: Answer) => void): void {
		this.#send(async () => {
			const counts = (await this.#redis.call('PUBSUB', 'SHARDNUMSUB', channel)) as readonly unknown[];
			return Number(counts[1]);
		}, done);
	}

	/** Calls `done` when the server has done everything that it was asked before, and the messages of that have come here. */
	whenDone(done: () => void): void {
		this.#send(() => this.#redis.ping(), done);
	}

	/** The slots of a cluster, as this server sees them. */
	slots(): Promise<unknown> {
		return new Promise((resolve, reject) => {
			this.#send(
				() => this.#redis.call('CLUSTER', 'SLOTS').then(resolve),
				(answer) => (answer instanceof Error || answer === 'lost' ? reject(new Error(String(answer))) : undefined),
			);
		});
	}

	/** Gives the connection up. Everything that it has not answered is lost. */
	lose(reason: string): void {
		if (this.#isLost) return;
		this.close();
		this.#parts.onLost(this, reason);
	}

	/** Gives the connection up, and calls `onLost` no more. */
	close(): void {
		this.#isLost = true;
		clearInterval(this.#beat);
		abandon(this.#redis);
	}

	/** Sends a command. Those of one turn go out together: one system call in place of one for each. */
	#send(command: () => Promise<unknown>, done: (answer: Answer) => void): void {
		if (this.#isLost) {
			queueMicrotask(() => this.#guard(() => done('lost')));
			return;
		}
		const startMs = performance.now();
		if (this.#pending++ === 0) this.#heardMs = startMs;
		if (!this.#isCorked) {
			this.#isCorked = true;
			this.#redis.stream.cork();
			setImmediate(this.#uncork);
		}
		const isTimed = startMs >= this.#nextTimingMs;
		if (isTimed) this.#nextTimingMs = startMs + timingMsMin;
		const answered = (answer: Answer) => {
			this.#pending--;
			this.#heardMs = performance.now();
			if (isTimed && answer !== 'lost') this.#parts.onRoundTrip((this.#heardMs - startMs) / 1_000);
			this.#guard(() => done(answer));
		};
		command().then(
			(value) => answered(this.#isLost ? 'lost' : typeof value === 'number' ? value : 0),
			(error: Error) => answered(!this.#isLost && error instanceof ReplyError ? error : 'lost'),
		);
	}

	/** A throw may have lost a message, and must not end the process. */
	#guard(act: () => void): void {
		try {
			act();
		} catch (error) {
			this.#parts.onFault(error);
			this.lose('a handler of this server threw');
		}
	}

	readonly #uncork = (): void => {
		this.#isCorked = false;
		this.#redis.stream.uncork();
	};

	/** Tests that the server answers, and may still write. */
	#try(): void {
		if (this.#isSilent()) {
			// This loop may have been busy: an answer that has arrived is read first.
			setImmediate(() => {
				if (this.#isSilent()) this.lose(`no answer for ${this.#parts.timeoutMs / 1_000} s (--relay-timeout)`);
			});
			return;
		}
		this.#send(() => this.#redis.eval(publishScript, 0), this.#loseIfRefused);
	}

	readonly #loseIfRefused = (answer: Answer): void => {
		if (answer instanceof Error) this.lose(answer.message);
	};

	#isSilent(): boolean {
		return this.#pending > 0 && performance.now() - this.#heardMs > this.#parts.timeoutMs;
	}
}

/** Ends a connection at once: a server that has stopped would never answer a FIN. */
export function abandon(redis: Redis): void {
	redis.disconnect();
	redis.stream?.destroy();
}

const ignore = () => {};
