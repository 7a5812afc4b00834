// Judges what the subscribers of one channel got: whether each has a gapless piece of the one order of its channel.
import assert from 'node:assert/strict';

/** A subscription, from its opening to its end. */
export class Seat {
	readonly openMs = performance.now();
	endMs: number | undefined;
	/** A close code; of an event stream `ended`, or `cut` without its last chunk. */
	end = '';
	readonly texts: string[] = [];
	readonly #gotMs: number[] = [];

	constructor(
		readonly leave: () => void,
		private readonly onGot: (text: string, ms: number) => void,
	) {}

	got(text: string): void {
		const ms = performance.now();
		this.texts.push(text);
		this.#gotMs.push(ms);
		this.onGot(text, ms);
	}

	ended(how: string): void {
		this.endMs = performance.now();
		this.end = how;
	}

	countSince(ms: number): number {
		let count = 0;
		while (count < this.#gotMs.length && (this.#gotMs[this.#gotMs.length - 1 - count] as number) >= ms) count++;
		return count;
	}
}

/** The messages of one channel. Each names its sender, and is numbered by it. */
export class Order {
	readonly seats: Seat[] = [];
	/** How clients were refused: the status codes. */
	readonly refusals = new Set<string>();
	readonly #sentMs = new Map<string, number>();
	/** When it was known that a message has its place in the order: somebody had got it, or its POST was answered. */
	readonly #placedMs = new Map<string, number>();
	readonly #unsent = new Set<string>();
	#senders = 0;

	constructor(readonly path: string) {}

	newSender(): number {
		return this.#senders++;
	}

	/** A message that is sent now. */
	sent(sender: number, number: number): string {
		const text = `${sender} ${number}`;
		this.#sentMs.set(text, performance.now());
		return text;
	}

	/** A message that was published by the account of the server. */
	accepted(text: string): void {
		this.#placed(text, performance.now());
	}

	/** A message that was not published by the account of the server. */
	unsent(text: string): void {
		this.#unsent.add(text);
	}

	seat(leave: () => void): Seat {
		const seat = new Seat(leave, (text, ms) => this.#placed(text, ms));
		this.seats.push(seat);
		return seat;
	}

	#placed(text: string, ms: number): void {
		if (!this.#placedMs.has(text)) this.#placedMs.set(text, ms);
	}

	judge(): void {
		this.#judgeNeighbours();
		for (const seat of this.seats) {
			this.#judgeSenders(seat);
			this.#judgeMissing(seat);
		}
	}

	/** What comes before and after a message is the same for all who have both. */
	#judgeNeighbours(): void {
		const after = new Map<string, string>();
		const before = new Map<string, string>();
		for (const { texts } of this.seats) {
			for (let i = 1; i < texts.length; i++) {
				const [x, y] = [texts[i - 1], texts[i]] as [string, string];
				assert.equal(after.get(x) ?? y, y, `${this.path}: after "${x}" comes "${after.get(x)}" for one, and "${y}" for another`);
				assert.equal(
					before.get(y) ?? x,
					x,
					`${this.path}: before "${y}" comes "${before.get(y)}" for one, and "${x}" for another`,
				);
				after.set(x, y);
				before.set(y, x);
			}
		}
	}

	/** The numbers of a sender follow one another. */
	#judgeSenders({ texts }: Seat): void {
		const last = new Map<string, number>();
		for (const text of texts) {
			const [sender = '', number] = text.split(' ');
			const expected = (last.get(sender) ?? Number(number) - 1) + 1;
			assert.equal(Number(number), expected, `${this.path}: "${text}" comes where ${expected} is due`);
			assert.ok(!this.#unsent.has(text), `${this.path}: "${text}" was published, and answered with 503`);
			last.set(sender, Number(number));
		}
	}

	/**
	 * What was sent after a subscription began comes before all that was sent later. This compares those too who have no message in common,
	 * as on two servers that both take themselves for the master.
	 */
	#judgeMissing({ texts, openMs }: Seat): void {
		const got = new Set(texts);
		const lastSentMs = texts.reduce((ms, text) => Math.max(ms, this.#sentMs.get(text) as number), 0);
		for (const [text, placedMs] of this.#placedMs) {
			const isDue = (this.#sentMs.get(text) as number) > openMs && placedMs < lastSentMs;
			assert.ok(!isDue || got.has(text), `${this.path}: "${text}" is missing, and later messages came`);
		}
	}
}
