// Makes the changes that a client asks for, one after another: checks each, and waits until the channels that it leaves have sent all
// earlier messages.
import { Allowance } from '../connections/allowance.js';
import type { Admission, AskAboutPath, Joinable, PathRefusal } from '../http/admission.js';
import { type ChannelName, parseWrittenPath } from '../pubsub/channel-name.js';
import type { Hub } from '../pubsub/hub.js';
import type { Subscription } from '../pubsub/subscription.js';
import type { GroupSet } from './group-set.js';
import { changesPerSecond, type FrameRefusal, refusalOf, tooManyChanges, tooManyChannels } from './refusals.js';
import { type ChangeFrame, pathsIn } from './wire.js';

export type ChangeParts = {
	readonly hub: Hub;
	readonly admission: Admission;
	readonly maxGroups: number;
	readonly maxPath: number;
};

/** The set of channels that is changed. */
type ChangedSet = Pick<GroupSet, 'subscriptions' | 'mayChange' | 'change' | 'refuse' | 'guard'>;

type Change = {
	readonly command: ChangeFrame['command'];
	readonly paths: readonly ChannelName[];
	/** Why it cannot be made, whatever the set is. */
	readonly refusal: FrameRefusal | undefined;
};
/** A change that is allowed, and waits for what was published before on the channels that it leaves. */
type Due = {
	readonly wanted: ReadonlySet<ChannelName>;
	readonly joining: readonly Joinable[];
	readonly waitsFor: Set<Subscription>;
};

// Changes that wait for the authorisation service, or for the client to read.
const waitingMax = 64;
// How many paths a change may name twice, so that no list takes long to read: less than a millisecond.
const repetitionsMax = 1_000;

export class Changes {
	readonly #set: ChangedSet;
	readonly #ask: AskAboutPath | undefined;
	readonly #parts: ChangeParts;
	readonly #allowance = new Allowance(changesPerSecond, performance.now());
	/** The first change is in progress. A refused change waits too, so that the answers keep their order. */
	readonly #waiting: Change[] = [];
	#due: Due | undefined;
	#takeQuestionsBack = ignore;

	/** `ask` asks the authorisation service for the client; undefined without a service. */
	constructor(set: ChangedSet, ask: AskAboutPath | undefined, parts: ChangeParts) {
		this.#set = set;
		this.#ask = ask;
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
		else this.#refuse(refusalOf(refusal));
	}

	/** To be called when the server has ended subscriptions: no change need wait for them. */
	ended(subscriptions: readonly Subscription[]): void {
		for (const subscription of subscriptions) this.#due?.waitsFor.delete(subscription);
		this.goOn();
	}

	/** Forgets all changes. */
	stop(): void {
		this.#takeQuestionsBack();
		this.#waiting.length = 0;
		this.#due = undefined;
	}

	/** The channels that a frame names, each once, or why they cannot be changed. */
	#namesIn({ list }: ChangeFrame): ChannelName[] | FrameRefusal {
		const { maxGroups, maxPath } = this.#parts;
		// The allowance comes first: reading the paths takes time.
		if (!this.#allowance.take(performance.now())) return tooManyChanges;
		const names = new Set<ChannelName>();
		let count = 0;
		for (const path of pathsIn(list)) {
			const name = parseWrittenPath(path, maxPath);
			if (typeof name !== 'string') return { ...name, path: ownCopy(path) };
			names.add(name);
			if (names.size > maxGroups || ++count > maxGroups + repetitionsMax) return tooManyChannels(maxGroups);
		}
		return Array.from(names, ownCopy);
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
		const unasked = admission.joinUnasked(joining);
		if (this.#ask === undefined || joining.length === 0 || 'refused' in unasked) {
			this.#decide(wanted, unasked);
			return;
		}
		this.#takeQuestionsBack = admission.askToJoin(joining, this.#ask, (answer) =>
			this.#set.guard(() => {
				this.#takeQuestionsBack = ignore;
				this.#decide(wanted, answer);
			}),
		);
	}

	#decide(wanted: ReadonlySet<ChannelName>, answer: readonly Joinable[] | PathRefusal): void {
		if ('refused' in answer) {
			this.#refuse(refusalOf(answer));
			return;
		}
		let isDone = false;
		const callOff = this.#parts.admission.bring(answer, (refusal) => {
			isDone = true;
			this.#set.guard(() => {
				this.#takeQuestionsBack = ignore;
				if (refusal === undefined) this.#awaitOrder(wanted, answer);
				else this.#refuse(refusalOf(refusal));
			});
		});
		if (!isDone) this.#takeQuestionsBack = callOff;
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
	#refuse(refusal: FrameRefusal): void {
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

/** A substring keeps the whole head in memory: the name of a channel would hold 64 KiB for as long as the channel exists. */
function ownCopy<Text extends string>(text: Text): Text {
	return Buffer.from(text).toString() as Text;
}

const ignore = () => {};
