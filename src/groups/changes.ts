// The changes that a client wants of its channels, one after another: what is allowed, and when it may be made.
import { Allowance } from '../connections/allowance.js';
import type { Admission, Joinable, PathRefusal } from '../http/admission.js';
import type { Asker } from '../http/asking.js';
import { type ChannelName, parseWrittenPath } from '../pubsub/channel-name.js';
import type { Hub } from '../pubsub/hub.js';
import type { Subscription } from '../pubsub/subscription.js';
import { changesPerSecond, pathRefused, type Refusal, tooManyChanges, tooManyChannels } from './refusals.js';
import type { ChangeFrame } from './wire.js';

export type ChangeParts = {
	readonly hub: Hub;
	readonly admission: Admission;
	readonly maxGroups: number;
	readonly maxPath: number;
};

/** The set of channels that is changed. */
export interface ChangedSet {
	/** By the client's names for the channels. */
	subscriptions(): ReadonlyMap<ChannelName, { readonly subscription: Subscription }>;
	/** Whether the set may change now: a connection that is catching up has to read everything from before. */
	mayChange(): boolean;
	/** Makes the change: all that is wanted and not there is joined, and the rest is left. Gives why it cannot be made, and makes none then. */
	change(wanted: ReadonlySet<ChannelName>, joining: readonly Joinable[]): PathRefusal | undefined;
	refuse(refusal: Refusal, command: ChangeFrame['command']): void;
	/** Does something in a turn of the server's own, unless the connection has closed. */
	guard(act: () => void): void;
}

type Change = {
	readonly command: ChangeFrame['command'];
	readonly paths: readonly ChannelName[];
	/** Why it cannot be made, whatever the set is. */
	readonly refusal: Refusal | undefined;
};
/** A change that is allowed, and waits for what was published before on the channels that it leaves. */
type Due = {
	readonly wanted: ReadonlySet<ChannelName>;
	readonly joining: readonly Joinable[];
	readonly waitsFor: Set<Subscription>;
};

// Changes that wait for the authorisation service, or for the client to read.
const waitingMax = 64;

export class Changes {
	readonly #set: ChangedSet;
	readonly #asker: Asker | undefined;
	readonly #parts: ChangeParts;
	readonly #allowance = new Allowance(changesPerSecond, performance.now());
	/** The first is being made. One that is refused waits for its turn to be answered. */
	readonly #waiting: Change[] = [];
	#due: Due | undefined;
	#takeQuestionsBack = ignore;

	/** `asker` is what the authorisation service is told of the client; undefined without a service. */
	constructor(set: ChangedSet, asker: Asker | undefined, parts: ChangeParts) {
		this.#set = set;
		this.#asker = asker;
		this.#parts = parts;
	}

	/** Takes a change. False if too many wait. */
	take(frame: ChangeFrame): boolean {
		const { command } = frame;
		const paths = this.#namesIn(frame);
		const change = Array.isArray(paths) ? { command, paths, refusal: undefined } : { command, paths: [], refusal: paths };
		if (this.#waiting.push(change) === 1) this.#begin(change);
		return this.#waiting.length <= waitingMax;
	}

	/** Makes the change that is due, if nothing holds it up any more. */
	goOn(): void {
		const due = this.#due;
		if (due === undefined || due.waitsFor.size > 0 || !this.#set.mayChange()) return;
		this.#due = undefined;
		const refusal = this.#set.change(due.wanted, due.joining);
		if (refusal === undefined) this.#next();
		else this.#refuse(pathRefused(refusal));
	}

	/** To be called when the server has ended a subscription: no change need wait for it. */
	ended(subscription: Subscription): void {
		this.#due?.waitsFor.delete(subscription);
		this.goOn();
	}

	/** Forgets all changes. */
	stop(): void {
		this.#takeQuestionsBack();
		this.#waiting.length = 0;
		this.#due = undefined;
	}

	/** The channels that a frame names, each once, or why they cannot be changed. */
	#namesIn({ paths }: ChangeFrame): ChannelName[] | Refusal {
		const { maxGroups, maxPath } = this.#parts;
		if (!this.#allowance.take(performance.now())) return tooManyChanges;
		const names = new Set<ChannelName>();
		for (const path of paths) {
			const name = parseWrittenPath(path, maxPath);
			if (typeof name !== 'string') return { ...name, path };
			names.add(name);
			if (names.size > maxGroups) return tooManyChannels(maxGroups);
		}
		return [...names];
	}

	#begin(change: Change): void {
		if (change.refusal !== undefined) {
			this.#refuse(change.refusal);
			return;
		}
		const { maxGroups, admission } = this.#parts;
		const wanted = this.#wantedBy(change);
		if (wanted.size > maxGroups) {
			this.#refuse(tooManyChannels(maxGroups));
			return;
		}
		const subscriptions = this.#set.subscriptions();
		const joining = [...wanted].filter((path) => !subscriptions.has(path));
		let isAnswered = false;
		const takeBack = admission.askForMore(joining, this.#asker, (answer) =>
			this.#set.guard(() => {
				isAnswered = true;
				this.#takeQuestionsBack = ignore;
				if ('refused' in answer) this.#refuse(pathRefused(answer));
				else this.#awaitOrder(wanted, answer);
			}),
		);
		// If it has been answered in this turn, the questions of the next change may be out by now.
		if (!isAnswered) this.#takeQuestionsBack = takeBack;
	}

	#wantedBy({ command, paths }: Change): Set<ChannelName> {
		if (command === 'subscribe') return new Set(paths);
		const wanted = new Set(this.#set.subscriptions().keys());
		for (const path of paths) {
			if (command === 'add') wanted.add(path);
			else wanted.delete(path);
		}
		return wanted;
	}

	/** Waits until what was published before has gone out on each channel that is left. */
	#awaitOrder(wanted: ReadonlySet<ChannelName>, joining: readonly Joinable[]): void {
		const waitsFor = new Set<Subscription>();
		for (const [path, { subscription }] of this.#set.subscriptions()) if (!wanted.has(path)) waitsFor.add(subscription);
		this.#due = { wanted, joining, waitsFor };
		for (const subscription of [...waitsFor]) {
			this.#parts.hub.inOrder(subscription.channel, () => {
				waitsFor.delete(subscription);
				this.#set.guard(() => this.goOn());
			});
		}
		this.goOn();
	}

	/** Answers the first change. */
	#refuse(refusal: Refusal): void {
		const [change] = this.#waiting;
		if (change !== undefined) this.#set.refuse(refusal, change.command);
		this.#next();
	}

	#next(): void {
		this.#waiting.shift();
		const [next] = this.#waiting;
		if (next !== undefined) this.#begin(next);
	}
}

const ignore = () => {};
