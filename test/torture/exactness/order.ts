// The one order of a channel, as its reference got it, and the judgement of what each other subscriber got. The reference is a subscriber
// that is there from before the first message to after the last. Knows no network.
import assert from 'node:assert/strict';
import { isShort, type Messages, numberOf, publisherOf, publishersMax, type Shape, type Token, tokenOf } from './messages.js';

/** Counts what happens in a test, to tell what was before from what was after. */
export class Clock {
	#now = 0;

	next(): number {
		return ++this.#now;
	}
}

/** The messages that a connection got of a channel, from one subscription to its end. The times are of the clock. */
export type Piece = {
	/** For the message of a failure. */
	readonly who: string;
	/** When the client asked for the subscription, and when it knew that it was subscribed. */
	readonly asked: number;
	readonly opened: number;
	readonly tokens: Token[];
	/** Whether it was there before the first message. */
	readonly isFromStart: boolean;
	/** Whether it must have everything up to the end. */
	readonly stays: boolean;
};

export class Order {
	readonly pieces: Piece[] = [];
	/** For each publisher: its messages, with their times and shapes, and the places in `#log` of the messages that the reference got. */
	readonly #publishers = Array.from({ length: publishersMax }, () => ({
		tokens: [] as Token[],
		sentAt: [] as number[],
		shapes: [] as Shape[],
		places: [] as number[],
	}));
	/** The messages that the reference got, and their times. */
	readonly #log: Token[] = [];
	readonly #seenAt: number[] = [];

	constructor(
		readonly index: number,
		readonly path: string,
		readonly messages: Messages,
		readonly clock: Clock,
		/** With a relay, another node may bring what the reference already has to a client that asks later. */
		readonly isShared: boolean,
	) {}

	/** Notes a message that is published now, and gives its bytes. */
	publish(publisher: number, shape: Shape): Buffer {
		const { tokens, sentAt, shapes } = this.#of(publisher);
		const number = tokens.push(tokenOf(publisher, tokens.length, shape)) - 1;
		shapes.push(shape);
		sentAt.push(this.clock.next());
		return this.messages.write(this.index, publisher, number, shape);
	}

	/** The bytes of a message that nobody sends as a whole. It has the last number of the last publisher. */
	unsent(): Buffer {
		return this.messages.write(this.index, publishersMax - 1, 9_999_999, { bytes: 1_000, isBinary: false });
	}

	/** How many messages of a publisher the reference does not have yet. */
	inFlight(publisher: number): number {
		const { tokens, places } = this.#of(publisher);
		return tokens.length - places.length;
	}

	/** How many messages were sent. */
	get published(): number {
		return this.#publishers.reduce((sum, { tokens }) => sum + tokens.length, 0);
	}

	isInFlight(): boolean {
		return this.#publishers.some(({ tokens, places }) => tokens.length > places.length);
	}

	subscribed(who: string, asked: number, stays: boolean): Piece {
		const isFromStart = this.published === 0;
		const piece = { who: `${this.path}, ${who}`, asked, opened: this.clock.next(), tokens: [], isFromStart, stays };
		this.pieces.push(piece);
		return piece;
	}

	/**
	 * Takes what a subscriber got next. Throws if no message is like this, or if it is sent by nobody. The first subscriber is the
	 * reference.
	 */
	take(piece: Piece, payload: Buffer, isBinary: boolean): void {
		const token = this.messages.read(this.index, payload, isBinary);
		if (typeof token === 'string') throw new Error(`${piece.who}: ${token}`);
		if (!isShort(token)) this.#checkSent(piece, token, payload.length, isBinary);
		// The judgement would find it too, but only when all have everything.
		const due = piece.isFromStart ? this.#log[piece.tokens.length] : undefined;
		if (due !== undefined && due !== token) assert.fail(`${piece.who}: ${told(token)} came in place of ${told(due)}`);
		piece.tokens.push(token);
		if (piece === this.pieces[0]) this.#extend(piece, token);
	}

	#checkSent({ who }: Piece, token: Token, bytes: number, isBinary: boolean): void {
		const [publisher, number] = [publisherOf(token), numberOf(token)];
		const shape = this.#of(publisher).shapes[number];
		assert.ok(shape !== undefined, `${who}: message ${number} of publisher ${publisher} was never sent`);
		assert.deepEqual({ bytes, isBinary }, shape, `${who}: message ${number} of publisher ${publisher} has another shape`);
	}

	/** Notes a message that the reference got. It must be the next message of its publisher. */
	#extend({ who }: Piece, token: Token): void {
		const publisher = publisherOf(token);
		const { tokens, places } = this.#of(publisher);
		const due = tokens[places.length];
		if (token !== due)
			assert.fail(`${who}: publisher ${publisher}: ${told(token)} came in place of ${due === undefined ? 'nothing' : told(due)}`);
		places.push(this.#log.push(token) - 1);
		this.#seenAt.push(this.clock.next());
	}

	/** Asserts that each subscriber has a gapless piece of the order, and has everything that was published while it was subscribed. */
	judge(): void {
		for (const [publisher, { tokens, places }] of this.#publishers.entries())
			assert.equal(places.length, tokens.length, `${this.path}: messages of publisher ${publisher} are lost for the reference`);
		const firsts = this.#firstPlaces();
		for (const piece of this.pieces) this.#judge(piece, firsts);
	}

	#judge(piece: Piece, firsts: FirstPlaces): void {
		const { who, tokens, asked, opened, stays } = piece;
		// It has nothing that the reference had before it asked, and everything that was sent after it was open.
		const earliest = this.isShared ? 0 : firstAbove(this.#seenAt, asked);
		const latest = firsts.since(opened) ?? this.#log.length;
		const start = this.#placeOf(piece, earliest, latest);
		const end = start + tokens.length;
		assert.ok(start >= earliest, `${who}: the first message has place ${start}, and was there before: ${earliest}`);
		assert.ok(start <= latest, `${who}: lost: the first message has place ${start}, not ${latest}`);
		if (stays) assert.equal(end, this.#log.length, `${who}: lost: not all messages came up to the last`);
		const wrong = tokens.findIndex((token, nth) => token !== this.#log[start + nth]);
		if (wrong >= 0) {
			const [got, due] = [tokens[wrong] as Token, this.#log[start + wrong]];
			assert.fail(`${who}: ${told(got)} came in place of ${due === undefined ? 'nothing' : told(due)}, as its message ${wrong}`);
		}
	}

	/** Where a piece begins in the order. */
	#placeOf({ tokens, stays }: Piece, earliest: number, latest: number): number {
		const known = tokens.findIndex((token) => !isShort(token));
		const first = tokens[known];
		if (first !== undefined) return (this.#of(publisherOf(first)).places[numberOf(first)] as number) - known;
		if (stays) return this.#log.length - tokens.length;
		// Only short messages: they must stand somewhere.
		for (let start = earliest; start <= latest; start++)
			if (tokens.every((token, nth) => token === this.#log[start + nth])) return start;
		return earliest;
	}

	#firstPlaces(): FirstPlaces {
		const sent = this.#publishers.flatMap(({ sentAt, places }) =>
			sentAt.map((at, nth) => ({ at, place: places[nth] as number })),
		);
		return new FirstPlaces(sent);
	}

	#of(publisher: number) {
		return this.#publishers[publisher] ?? assert.fail(`no publisher ${publisher}`);
	}
}

/** Answers which of the messages that were sent after a time has the first place. */
class FirstPlaces {
	readonly #at: number[];
	/** The first place of each message and all that were sent after it. */
	readonly #places: number[];

	constructor(sent: { readonly at: number; readonly place: number }[]) {
		const sorted = sent.sort((one, other) => one.at - other.at);
		this.#at = sorted.map(({ at }) => at);
		this.#places = sorted.map(({ place }) => place);
		for (let nth = sorted.length - 2; nth >= 0; nth--)
			this.#places[nth] = Math.min(this.#places[nth] as number, this.#places[nth + 1] as number);
	}

	since(time: number): number | undefined {
		return this.#places[firstAbove(this.#at, time)];
	}
}

/** The index of the first number above a limit, in ascending numbers. */
function firstAbove(ascending: readonly number[], limit: number): number {
	let [low, high] = [0, ascending.length];
	while (low < high) {
		const middle = (low + high) >> 1;
		if ((ascending[middle] as number) > limit) high = middle;
		else low = middle + 1;
	}
	return low;
}

function told(token: Token): string {
	return `message ${isShort(token) ? '…' : ''}${numberOf(token)} of publisher ${publisherOf(token)}`;
}
