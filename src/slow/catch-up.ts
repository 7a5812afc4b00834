// Subscribers who have fallen behind: out of the fan-out's reach, they are sent what they miss as they read, until they have caught up.

import { dropLaggard, type Subscriber } from '../connections/connection.js';
import type { Socket } from '../engine.js';
import type { Channel } from '../pubsub/channel.js';
import type { Hub } from '../pubsub/hub.js';
import type { Waiter } from '../pubsub/shared-backlog.js';

// For each who lags the engine keeps a copy of each message, in a buffer that doubles for all of them at once if they stopped
// together. Less than this is mostly a reader's on its way.
const backlogBytesWorthSharing = 65_536;
// In one tick: to one of them, so that the others have their turn, and to all together, some milliseconds' work.
const shareBytes = 262_144;
const tickBytes = 4_194_304;
// What it costs to send a message beside its bytes: 16,000 tiny ones take some ten milliseconds too.
const messageOverheadBytes = 256;
// Closing takes some 10 µs each.
const closesPerTick = 200;

// A subscriber that has fallen behind is subscribed to this topic instead of its channel's. Without any topic it would lose the messages
// that were published in the same tick, on uWebSockets.js 20.30 (20.57 sends them). The topics of channels are numbers.
const behindTopic = 'behind';

export class Stragglers {
	readonly #hub: Hub;
	readonly #backlogBytesMax: number;
	readonly #onBehind: (ws: Socket<Subscriber>, backlogBytes: number) => void;
	/** Those who have read all that the engine had for them, and those who are too far behind. */
	readonly #ready = new Set<Socket<Subscriber>>();
	readonly #tooFar: Socket<Subscriber>[] = [];
	#isTickScheduled = false;

	/** `onBehind` hears of each that has more unread than it may, and how much. */
	constructor(hub: Hub, backlogBytesMax: number, onBehind: (ws: Socket<Subscriber>, backlogBytes: number) => void) {
		this.#hub = hub;
		this.#backlogBytesMax = backlogBytesMax;
		this.#onBehind = onBehind;
	}

	/** How many bytes wait for one, whether it has fallen behind or not. */
	backlogOf(ws: Socket<Subscriber>, { waiter, channel } = ws.getUserData()): number {
		const engineBytes = ws.getBufferedAmount();
		return waiter === undefined ? engineBytes : engineBytes + (channel?.backlog?.bytesFor(waiter) ?? 0);
	}

	/** How many bytes its close gives back: its own, and its part of those that others wait for too. */
	freedBy(ws: Socket<Subscriber>): number {
		const { waiter, channel } = ws.getUserData();
		const engineBytes = ws.getBufferedAmount();
		return waiter === undefined ? engineBytes : engineBytes + (channel?.backlog?.partOf(waiter) ?? 0);
	}

	/** Judges one whose backlog stands. */
	onStanding(ws: Socket<Subscriber>, backlogBytes: number): void {
		if (backlogBytes > this.#backlogBytesMax) dropLaggard(ws, 'slow');
		else if (backlogBytes >= Math.min(backlogBytesWorthSharing, this.#backlogBytesMax / 4)) this.#takeOut(ws);
	}

	/**
	 * Takes out whoever of a channel has more unread than it may. If it has not read enough when the next message comes, it is
	 * disconnected. The engine's own limit is off: over it, the engine drops a message and closes later, and until then a peer that
	 * reads gets later messages: on 20.57 each that is slow, on 20.30 one that goes on sending.
	 */
	judge(channel: Channel): void {
		for (let member = channel.newest; member !== undefined; member = member.nextMember) {
			// Every member of a channel is a websocket.
			const ws = member as Socket<Subscriber>;
			const engineBytes = ws.getBufferedAmount();
			if (engineBytes <= this.#backlogBytesMax) continue;
			this.#onBehind(ws, engineBytes);
			this.#takeOut(ws);
		}
	}

	/** Hears of every websocket that has read something that the engine kept for it. */
	onDrain(ws: Socket<Subscriber>): void {
		if (ws.getUserData().waiter !== undefined && ws.getBufferedAmount() === 0) this.#makeReady(ws);
	}

	/**
	 * Closes one after all that was published to it. If it has fallen behind, it has to read that first: to give the engine all of it
	 * at once would hold up the loop when many are closed, and fill a buffer for each. Meanwhile it is fed, judged and counted as before.
	 */
	endOnceRead(ws: Socket<Subscriber>, code: number, reason: string): void {
		const subscriber = ws.getUserData();
		const { waiter, channel } = subscriber;
		if (waiter === undefined || channel === undefined || this.backlogOf(ws, subscriber) === ws.getBufferedAmount()) {
			this.endAtOnce(ws, code, reason);
		} else {
			this.#hub.keepNoMore(waiter, channel);
			subscriber.farewell = { code, reason };
		}
	}

	/** The same, but it has left when this returns, and what it has to read is the engine's. */
	endAtOnce(ws: Socket<Subscriber>, code: number, reason: string): void {
		const subscriber = ws.getUserData();
		const { waiter, channel } = subscriber;
		// What it misses is kept no longer, or so much that the engine would drop some of it.
		if (waiter?.isTooFar || this.backlogOf(ws, subscriber) > this.#backlogBytesMax) {
			dropLaggard(ws, 'slow');
			return;
		}
		if (waiter !== undefined && channel !== undefined) this.#send(ws, waiter, channel, 'all');
		ws.end(code, reason);
	}

	/** Forgets one that has closed; to be told before the hub. */
	forget(subscriber: Subscriber): void {
		const { waiter, channel } = subscriber;
		if (waiter === undefined || channel === undefined) return;
		subscriber.waiter = undefined;
		this.#hub.catchUp(waiter, channel);
	}

	#takeOut(ws: Socket<Subscriber>): void {
		const subscriber = ws.getUserData();
		const { waiter, channel, isAdmitted } = subscriber;
		if (waiter !== undefined || channel === undefined || !isAdmitted) return;
		// In this order: see behindTopic.
		ws.subscribe(behindTopic);
		ws.unsubscribe(channel.topic);
		const unread = () => ws.getBufferedAmount();
		subscriber.waiter = this.#hub.fallBehind(channel, unread, () => {
			this.#tooFar.push(ws);
			this.#scheduleTick();
		});
	}

	#takeBack(ws: Socket<Subscriber>, subscriber: Subscriber, channel: Channel): void {
		ws.subscribe(channel.topic);
		ws.unsubscribe(behindTopic);
		this.forget(subscriber);
	}

	#makeReady(ws: Socket<Subscriber>): void {
		this.#ready.add(ws);
		this.#scheduleTick();
	}

	#scheduleTick(): void {
		if (this.#isTickScheduled) return;
		this.#isTickScheduled = true;
		setImmediate(this.#tick);
	}

	readonly #tick = (): void => {
		this.#isTickScheduled = false;
		for (const ws of this.#tooFar.splice(0, closesPerTick)) if (ws.getUserData().place !== undefined) dropLaggard(ws, 'slow');
		let left = tickBytes;
		for (const ws of [...this.#ready]) {
			if (left <= 0) break;
			// Whoever is to have more goes to the end.
			this.#ready.delete(ws);
			left -= this.#sendShare(ws);
		}
		if (this.#tooFar.length + this.#ready.size > 0) this.#scheduleTick();
	};

	/** Sends one its share of a tick, and gives what that cost, in bytes. */
	#sendShare(ws: Socket<Subscriber>): number {
		const subscriber = ws.getUserData();
		const { waiter, channel, farewell } = subscriber;
		if (waiter === undefined || channel === undefined) return 0;
		const costBytes = this.#send(ws, waiter, channel, 'share');
		if (ws.getBufferedAmount() > 0) return costBytes;
		if (this.backlogOf(ws, subscriber) > 0) this.#ready.add(ws);
		else if (farewell !== undefined) ws.end(farewell.code, farewell.reason);
		else this.#takeBack(ws, subscriber, channel);
		return costBytes;
	}

	/** Sends all that is to come, or one's share: until the engine has to keep some of it, or that is much. Gives what that cost, in bytes. */
	#send(ws: Socket<Subscriber>, waiter: Waiter, channel: Channel, amount: 'all' | 'share'): number {
		let costBytes = 0;
		ws.cork(() => {
			for (;;) {
				const message = this.#hub.nextFor(waiter, channel);
				if (message === undefined) break;
				const isOut = ws.send(message.bytes, message.isBinary) === 1;
				costBytes += message.bytes.byteLength + messageOverheadBytes;
				if (amount === 'share' && (!isOut || costBytes >= shareBytes)) break;
			}
		});
		return costBytes;
	}
}
