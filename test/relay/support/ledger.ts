// The messages of a test with a relay, and what each connection got of them. No connection is trusted to have everything: what one has
// missed shows where another has got it.
import assert from 'node:assert/strict';

// A test that waits this long waits for something that will not happen.
const patienceMs = 60_000;

/** What one connection has got of one channel while it was open. */
export type Piece = {
	/** For the message of a failure. */
	readonly who: string;
	readonly channel: string;
	/** The number of the first message that was published after the connection was open. */
	opened: number;
	/** The numbers of the messages, as they came. */
	got: number[];
	isOver: boolean;
	readonly isCounted: boolean;
};

export class Ledger {
	/** By the number of the message. */
	readonly #channels: string[] = [];
	readonly #senders: string[] = [];
	/** The messages since the last check whose publishing was confirmed. */
	#confirmed: number[] = [];
	#pieces: Piece[] = [];
	#failure: Error | undefined;
	#look: () => void = () => {};
	/** Over all connections that are counted. */
	deliveries = 0;

	/** Notes a message that is published now, and gives its number. */
	publish(channel: string, sender: string): number {
		this.#senders.push(sender);
		return this.#channels.push(channel) - 1;
	}

	/** How many messages were published on a channel. */
	count(channel: string): number {
		return this.#channels.filter((other) => other === channel).length;
	}

	/** To be called when an answer says that a message is published. */
	confirm(message: number): void {
		this.#confirmed.push(message);
	}

	/** To be called when a connection is subscribed. */
	open(who: string, channel: string, isCounted: boolean): Piece {
		const piece = { who, channel, opened: this.#channels.length, got: [], isOver: false, isCounted };
		this.#pieces.push(piece);
		return piece;
	}

	take(piece: Piece, message: number): void {
		if (this.#channels[message] !== piece.channel) this.fail(new Error(`${piece.who} got ${message} on ${piece.channel}`));
		piece.got.push(message);
		if (piece.isCounted) this.deliveries++;
		this.changed();
	}

	close(piece: Piece): void {
		piece.isOver = true;
		this.changed();
	}

	/** Makes everything that waits fail with the first of these, from now on. */
	fail(error: Error): void {
		this.#failure ??= error;
		this.changed();
	}

	/** Has `until` look again. */
	changed(): void {
		this.#look();
	}

	/** Waits until that is true. One at a time. `seen` is for the message of a failure. */
	async until(what: string, isTrue: () => boolean, seen: () => string = () => ''): Promise<void> {
		let timer: NodeJS.Timeout | undefined;
		try {
			await new Promise<void>((resolve, reject) => {
				timer = setTimeout(() => this.fail(new Error(`not within ${patienceMs} ms: ${what}; ${seen()}`)), patienceMs);
				this.#look = () => {
					if (this.#failure !== undefined) reject(this.#failure);
					else if (isTrue()) resolve();
				};
				this.#look();
			});
		} finally {
			clearTimeout(timer);
			this.#look = () => {};
		}
	}

	/**
	 * Asserts that the connections have got gapless pieces of one order of each channel, and that those which are still open have missed
	 * nothing. To be called when they have got everything. Then begins anew with those. Gives the number of pieces.
	 */
	check(): number {
		const pieces = this.#pieces;
		try {
			this.#checkAll(pieces);
		} catch (error) {
			this.fail(error as Error);
			throw error;
		}
		this.#confirmed = [];
		this.#pieces = pieces.filter(({ isOver }) => !isOver);
		for (const piece of this.#pieces) Object.assign(piece, { got: [], opened: this.#channels.length });
		return pieces.length;
	}

	#checkAll(pieces: readonly Piece[]): void {
		for (const channel of new Set(pieces.map(({ channel }) => channel))) {
			const own = pieces.filter((piece) => piece.channel === channel);
			const places = this.#merge(own);
			for (const piece of own) this.#checkStart(piece, places);
			const confirmed = this.#confirmed.filter((message) => this.#channels[message] === channel);
			for (const piece of own) if (!piece.isOver) checkMissed(piece, confirmed);
		}
	}

	/**
	 * Puts the pieces of a channel together: wherever two of them have the same message, they must go on with the same one, and have come
	 * from the same one. Where all connections were lost at once, the order has several chains. Gives the place of each message.
	 */
	#merge(pieces: readonly Piece[]): Map<number, Place> {
		const next = new Map<number, Step>();
		const previous = new Map<number, Step>();
		for (const piece of pieces) {
			for (let i = 1; i < piece.got.length; i++) {
				const [from, to] = [piece.got[i - 1] as number, piece.got[i] as number];
				agree(next, from, to, piece, 'after');
				agree(previous, to, from, piece, 'before');
			}
		}
		const places = new Map<number, Place>();
		const all = new Set(pieces.flatMap(({ got }) => got));
		for (const first of all) if (!previous.has(first)) this.#walk(first, next, places);
		for (const message of all) assert.ok(places.has(message), `the order goes in a circle at ${message}`);
		return places;
	}

	#walk(first: number, next: ReadonlyMap<number, Step>, places: Map<number, Place>): void {
		const latestOf = new Map<string, number>();
		let highestBefore = -1;
		for (let message: number | undefined = first; message !== undefined; message = next.get(message)?.message) {
			places.set(message, { highestBefore });
			highestBefore = Math.max(highestBefore, message);
			const sender = this.#senders[message] ?? '';
			const latest = latestOf.get(sender) ?? -1;
			assert.ok(message > latest, `${sender} sent ${message} before ${latest}`);
			latestOf.set(sender, message);
		}
	}

	/** What was published after the connection was open is not before its first message. */
	#checkStart({ who, channel, opened, got: [first] }: Piece, places: ReadonlyMap<number, Place>): void {
		if (first === undefined) return;
		const { highestBefore } = places.get(first) ?? assert.fail();
		assert.ok(highestBefore < opened, `${who} was open on ${channel} before ${highestBefore}, and began with ${first}`);
	}
}

/** The neighbour of a message in the order, and the connection that was the first to say so. */
type Step = { readonly message: number; readonly who: string };
/** The highest number of a message that is before this one in the order. */
type Place = { readonly highestBefore: number };

function agree(steps: Map<number, Step>, from: number, to: number, { who, channel }: Piece, where: 'before' | 'after'): void {
	const known = steps.get(from);
	if (known === undefined) steps.set(from, { message: to, who });
	else if (known.message !== to)
		assert.fail(`on ${channel}, ${who} got ${to} right ${where} ${from}, and ${known.who} got ${known.message} there`);
}

/** A connection that is still open has got what was published after it was open. */
function checkMissed({ who, channel, opened, got }: Piece, confirmed: readonly number[]): void {
	const all = new Set(got);
	for (const message of confirmed)
		assert.ok(message < opened || all.has(message), `${who} stayed on ${channel} and missed ${message}`);
}
