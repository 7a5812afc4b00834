// Sends websockets away with 1012: each after all that was published before, and no more in a tick than the loop can bear.
import type { Socket } from '../engine.js';
import type { Hub } from '../pubsub/hub.js';
import type { Places } from '../pubsub/places.js';
import type { Stragglers } from '../slow/catch-up.js';
import type { Subscriber } from './connection.js';
import type { Farewell } from './spread.js';

// Empty ones cost next to nothing.
const placesPerTick = 5_000;
// Until a channel that sends more than it may at once has sent its next share; see the hub.
const shareMs = 10;

/** Why they are sent away, and what their close frames say of it. */
const reasons = {
	stopping: 'the server is restarting; connect again',
	moved: 'connections are being moved; connect again',
	age: 'the connection has reached --max-age; connect again',
} as const;
export type FarewellCause = keyof typeof reasons;

export class Farewells {
	readonly #hub: Hub;
	readonly #sockets: Places<Socket<Subscriber>>;
	readonly #stragglers: Stragglers;
	readonly #closesPerTick: number;
	#wave = 0;
	#roomInTick: number;
	/** Who was told, but still waits for what was published before. They go in a tick to come, and count there. */
	#waiting: Subscriber[] = [];
	#isTickScheduled = false;
	#hasBacklog = false;

	constructor(hub: Hub, sockets: Places<Socket<Subscriber>>, stragglers: Stragglers, closesPerTick: number) {
		this.#hub = hub;
		this.#sockets = sockets;
		this.#stragglers = stragglers;
		this.#closesPerTick = closesPerTick;
		this.#roomInTick = closesPerTick;
	}

	/** Whether any of all still had messages before the close frame that the system had no room for. */
	get hasBacklog(): boolean {
		return this.#hasBacklog;
	}

	/** How many farewells have begun. Who opens now is spared by all of them. */
	get wave(): number {
		return this.#wave;
	}

	/** For everybody who is there. Takes the place of the one before. */
	toAll(cause: FarewellCause): Farewell {
		const wave = ++this.#wave;
		this.#hasBacklog = false;
		return this.#to(
			cause,
			(subscriber) => subscriber.wave < wave,
			() => wave !== this.#wave,
		);
	}

	/** For those whose time is up. */
	toExpired(): Farewell {
		const nowMs = performance.now();
		return this.#to(
			'age',
			({ expiresMs }) => expiresMs !== undefined && expiresMs <= nowMs,
			() => false,
		);
	}

	#to(cause: FarewellCause, isMeant: (subscriber: Subscriber) => boolean, isCalledOff: () => boolean): Farewell {
		let place: number | undefined = 0;
		return {
			isOver: () => place === undefined || isCalledOff(),
			send: (count) => {
				const asked = Math.min(count, this.#roomInTick);
				if (place === undefined || isCalledOff() || asked === 0) return 0;
				let sent = 0;
				place = this.#sockets.visit(place, placesPerTick, (ws) => {
					if (isMeant(ws.getUserData()) && this.#send(ws, cause)) sent++;
					return sent < asked ? 'more' : 'enough';
				});
				return sent;
			},
		};
	}

	/** Tells one, unless it is on its way out already. */
	#send(ws: Socket<Subscriber>, cause: FarewellCause): boolean {
		const subscriber = ws.getUserData();
		const { channel, disconnectCause } = subscriber;
		if (channel === undefined || disconnectCause !== undefined) return false;
		// The operator is closing its channel, with a code of its own.
		if (channel.isClosing && cause !== 'stopping') return false;
		subscriber.disconnectCause = cause;
		this.#takeRoom();
		this.#hub.inOrder(channel, () => {
			if (subscriber.place === undefined) return;
			this.#hasBacklog ||= this.#stragglers.backlogOf(ws) > 0;
			this.#stragglers.endOnceRead(ws, 1012, reasons[cause]);
		});
		if (isWaiting(subscriber)) this.#waiting.push(subscriber);
		return true;
	}

	#takeRoom(): void {
		this.#roomInTick--;
		if (this.#isTickScheduled) return;
		this.#isTickScheduled = true;
		setImmediate(this.#beginTick);
	}

	readonly #beginTick = (): void => {
		this.#waiting = this.#waiting.filter(isWaiting);
		this.#roomInTick = this.#closesPerTick - this.#waiting.length;
		this.#isTickScheduled = this.#waiting.length > 0;
		if (this.#isTickScheduled) setTimeout(this.#beginTick, shareMs);
	};
}

/** Whether one that was told is still to be closed. Who has fallen behind is closed in its own time. */
function isWaiting({ place, farewell }: Subscriber): boolean {
	return place !== undefined && farewell === undefined;
}
