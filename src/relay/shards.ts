// The servers that decide the order of the channels, each for its slots: finds them, keeps a connection to each, and reports which
// connections and slots are lost. Knows no channels.
import { ownersOf } from './cluster.js';
import { RelayRefused } from './handshake.js';
import type { Link } from './link.js';
import { type OpeningParts, openLink } from './opening.js';
import { Pauses } from './pauses.js';
import { mastersNamedBy, ownSlotsOf } from './survey.js';
import { formatHost, type Host } from './target.js';

export type ShardParts = Omit<OpeningParts, 'onEnded' | 'onLost' | 'stopping'> & {
	/**
	 * Hears that a connection is lost, or has lost slots: messages there are missed from now on. `ended` is how many subscriptions
	 * the server has ended by itself: if other slots have lost some of them, the connection has to be given up.
	 */
	readonly onGap: (link: Link, hasLost: (slot: number) => boolean, ended: number) => void;
	/** Hears that a server serves, or does not any more, and why. */
	readonly onChanged: (state: 'up' | 'away', server: string, why: string | undefined) => void;
};

// How long a look that a refusal asks for waits after the one before. Each asks all masters.
const lookMsMin = 100;

export class Shards {
	readonly #parts: ShardParts;
	/** By address. */
	readonly #links = new Map<string, Link>();
	/** The connection to the server of each slot. A server that is no cluster serves all slots, and stands at 0. */
	#owners: (Link | undefined)[] = [];
	#isCluster = false;
	/** Servers that are known to belong to the cluster. */
	#known: readonly Host[];
	#looking: Promise<void> | undefined;
	#mustLookAgain = false;
	#retry: NodeJS.Timeout | undefined;
	readonly #pauses = new Pauses();
	/** Gives up the connections that are being made. */
	readonly #stopping = new AbortController();
	/** When the last look ended, by performance.now(). */
	#lookedMs = Number.NEGATIVE_INFINITY;
	#isClosed = false;
	#isStarting = false;
	/** Why a server is missing, in words; undefined if each slot is served. */
	#missing: string | undefined = 'the relay has not been reached yet';

	constructor(parts: ShardParts) {
		this.#parts = parts;
		this.#known = parts.target.hosts;
	}

	get missing(): string | undefined {
		return this.#missing;
	}

	get isCluster(): boolean {
		return this.#isCluster;
	}

	/** The server of a slot; undefined while there is none. */
	linkOf(slot: number): Link | undefined {
		return this.#owners[this.#isCluster ? slot : 0];
	}

	/** Looks for the servers. Throws a RelayRefused if the operator has to change something first. */
	async start(): Promise<void> {
		this.#isStarting = true;
		try {
			await this.#look();
		} finally {
			this.#isStarting = false;
		}
	}

	close(): void {
		this.#isClosed = true;
		this.#stopping.abort();
		clearTimeout(this.#retry);
		for (const link of this.#links.values()) link.close();
		this.#links.clear();
		this.#owners = [];
	}

	/** Looks soon who serves which slots now: a server has refused something, which clients may make it do again and again. */
	lookAgain(): void {
		this.#lookAfter(lookMsMin);
	}

	/** Looks again, but not before the last look is so long ago. */
	#lookAfter(ms: number): void {
		if (this.#looking !== undefined) this.#mustLookAgain = true;
		else this.#lookLater(Math.max(0, this.#lookedMs + ms - performance.now()));
	}

	get #servers(): string {
		const { hosts, path } = this.#parts.target;
		return path ?? hosts.map(formatHost).join(',');
	}

	#lookLater(ms: number): void {
		if (this.#isClosed) return;
		clearTimeout(this.#retry);
		this.#retry = setTimeout(() => {
			this.#retry = undefined;
			void this.#look().catch(ignore);
		}, ms).unref();
	}

	/** Looks for the servers once, and again later if one is missing. Throws the error of this attempt. */
	#look(): Promise<void> {
		this.#looking ??= this.#lookOnce().finally(() => {
			this.#looking = undefined;
			this.#lookedMs = performance.now();
			if (this.#isClosed) this.close();
			else if (this.#mustLookAgain) this.#lookLater(lookMsMin);
			else if (this.#missing !== undefined) this.#lookLater(this.#pauses.next());
			this.#mustLookAgain = false;
		});
		return this.#looking;
	}

	async #lookOnce(): Promise<void> {
		try {
			const asked = await this.#anyLink();
			if (asked.state.mode === 'cluster') await this.#lookAtCluster();
			else this.#setOwners(false, [asked]);
		} catch (error) {
			const { message } = error as Error;
			// A start that is refused ends with a line on standard error, and needs none in the log.
			const isRefused = this.#isStarting && error instanceof RelayRefused;
			if (message !== this.#missing && !isRefused && !this.#isClosed) this.#parts.onChanged('away', this.#servers, message);
			this.#missing = message;
			throw error;
		}
	}

	/** A connection that is there, or a new one to the first server that answers. */
	async #anyLink(): Promise<Link> {
		for (const link of this.#links.values()) return link;
		const { masterName, path } = this.#parts.target;
		if (masterName !== undefined || path !== undefined) return this.#open(undefined);
		let firstError: unknown;
		for (const host of this.#known) {
			try {
				return await this.#open(host);
			} catch (error) {
				firstError ??= error;
			}
		}
		throw firstError;
	}

	async #lookAtCluster(): Promise<void> {
		const masters = await mastersNamedBy([...this.#links.values()]);
		this.#known = [
			...new Map([...masters.values(), ...this.#parts.target.hosts].map((host) => [formatHost(host), host])).values(),
		];
		const opened = await Promise.allSettled(
			[...masters].map(async ([address, master]) => this.#links.get(address) ?? (await this.#open(master))),
		);
		// Only now: of a slot that two servers claim, one alone would look like its owner.
		this.#setOwners(true, ownersOf(await ownSlotsOf(() => [...this.#links.values()]), this.#owners));
		const failed = opened.find((result) => result.status === 'rejected');
		// A server that is cut off may name masters that are no more.
		if (failed !== undefined && this.#missing !== undefined) throw failed.reason;
	}

	#setOwners(isCluster: boolean, owners: (Link | undefined)[]): void {
		const before = this.#owners;
		this.#isCluster = isCluster;
		this.#owners = owners.map((link) => (link?.isLost ? undefined : link));
		const isServed = this.#owners.length > 0 && this.#owners.every((link) => link !== undefined);
		// Before the gaps: a connection that is given up for one tells why.
		if (isServed) this.#missing = undefined;
		else if (isCluster) this.#missing = 'some slots of the cluster have no master, or two';
		for (const link of [...this.#links.values()]) {
			const lost = new Set<number>();
			for (const [slot, owner] of before.entries()) if (owner === link && this.#owners[slot] !== link) lost.add(slot);
			const { ended } = link;
			link.ended = 0;
			if (lost.size + ended > 0) this.#parts.onGap(link, (slot) => lost.has(slot), ended);
			if (isCluster && !this.#owners.includes(link)) this.#drop(link);
		}
	}

	/** Closes a connection that is of no use any more. */
	#drop(link: Link): void {
		this.#links.delete(link.address);
		link.close();
	}

	async #open(host: Host | undefined): Promise<Link> {
		const { masterName, hosts } = this.#parts.target;
		const link = await openLink(host, {
			...this.#parts,
			stopping: this.#stopping.signal,
			onEnded: () => this.#lookAfter(0),
			onLost: (link, reason) => this.#lost(link, reason),
		});
		if (this.#isClosed) {
			link.close();
			throw new Error('the server stops');
		}
		if (link.state.mode === 'standalone' && hosts.length > 1 && masterName === undefined) {
			link.close();
			throw new RelayRefused('it is no cluster: name this one server, or its Sentinels as redis+sentinel://…/name.');
		}
		this.#links.set(link.address, link);
		this.#parts.onChanged('up', link.address, undefined);
		return link;
	}

	#lost(link: Link, reason: string): void {
		this.#links.delete(link.address);
		this.#owners = this.#owners.map((owner) => (owner === link ? undefined : owner));
		this.#missing = `${link.address}: ${reason}`;
		this.#parts.onChanged('away', link.address, reason);
		this.#parts.onGap(link, () => true, 0);
		// An attempt that is under way, or due, finds that it is missing.
		if (this.#looking === undefined && this.#retry === undefined) this.#lookLater(this.#pauses.next());
	}
}

const ignore = () => {};
