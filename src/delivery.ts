// Builds the parts that carry messages to subscribers, the relay among them, and those that look after slow subscribers and the memory that they take.
import { type CloseChannel, operatorCloser } from './connections/channel-closing.js';
import { Closing } from './connections/closing.js';
import { Gaps } from './connections/gaps.js';
import { Connections } from './connections/registry.js';
import type { App } from './engine.js';
import { StreamFanOut } from './event-stream/fan-out.js';
import { Envelopes } from './groups/envelopes.js';
import type { Log } from './observe/log.js';
import { Hub } from './pubsub/hub.js';
import { type Publish, publishing, type SharedOrder } from './pubsub/order.js';
import type { RelayOptions, Sharing, SharingParts } from './relay/sharing.js';
import { CatchUp } from './slow/catch-up.js';
import { MemoryBudget, memoryLookMs, readResidentBytes } from './slow/memory.js';
import { lookMs, SlowWatch } from './slow/watch.js';
import { pacingLimits } from './websocket/pacing-limits.js';

export type DeliveryOptions = Omit<RelayOptions, 'relay'> & {
	readonly relay: RelayOptions['relay'] | undefined;
	readonly maxBacklog: number;
	/** In seconds. */
	readonly writeTimeout: number;
	readonly memoryBudget: number;
	/** In seconds. */
	readonly drain: number;
};

export type Delivery = {
	readonly hub: Hub;
	/** To event streams. */
	readonly fanOut: StreamFanOut;
	/** To websockets that may have several channels. */
	readonly envelopes: Envelopes;
	readonly connections: Connections;
	readonly catchUp: CatchUp;
	readonly watch: SlowWatch;
	readonly memory: MemoryBudget;
	readonly closing: Closing;
	/** For subscribers that may have missed a message of the relay. */
	readonly gaps: Gaps;
	readonly publish: Publish;
	/** Undefined without a relay, as `order`. */
	readonly sharing: Sharing | undefined;
	readonly order: SharedOrder | undefined;
	/** Closes a channel or a session on this server. */
	readonly closeChannel: CloseChannel;
	/** Looks at slow subscribers and at the memory from now on, until the function that it gives is called. */
	startLooking(): () => void;
};

export type DeliveryParts = Pick<SharingParts, 'events' | 'onRoundTrip' | 'inFlight'> & { readonly log: Log };

/** Throws a StartError if a file of the relay's options cannot be used. */
export async function buildDelivery(app: App, isTls: boolean, options: DeliveryOptions, parts: DeliveryParts): Promise<Delivery> {
	const { maxBacklog, writeTimeout, memoryBudget, drain } = options;
	const sharing = await sharingFor(options, {
		...parts,
		hub: () => hub,
		closeChannel: (channel) => closeChannel(channel),
		giveUp: (channels) => gaps.giveUp(channels),
	});
	const order = sharing?.relay;
	const fanOut = new StreamFanOut();
	const envelopes = new Envelopes((topic, bytes, isBinary) => app.publish(topic, bytes, isBinary));
	const hub = new Hub(
		(topic, message) => {
			app.publish(topic, message.bytes, message.isBinary);
			if (fanOut.size > 0) fanOut.publish(topic, message);
			if (envelopes.size > 0) envelopes.publish(topic, message);
		},
		(channel) => watch.judge(channel),
		pacingLimits(maxBacklog, isTls),
		order && ((name) => order.left(name)),
	);
	const connections = new Connections();
	const catchUp = new CatchUp(hub, maxBacklog);
	const watch = new SlowWatch(connections, { catchUp, writeTimeoutMs: writeTimeout * 1_000 });
	const memory = new MemoryBudget({
		bytesMax: memoryBudget,
		residentBytes: readResidentBytes,
		connections: () => connections.count,
		free: (bytes) => {
			for (const peer of watch.largest(bytes)) peer.drop('memory');
		},
		log: parts.log,
	});
	const closing = new Closing(hub, connections, catchUp, order);
	const closeChannel = operatorCloser(hub, closing);
	const gaps = new Gaps(hub, closing, drain * 1_000);

	function startLooking(): () => void {
		const looking = setInterval(() => watch.look(performance.now()), lookMs).unref();
		const lookingAtMemory = setInterval(() => memory.look(), memoryLookMs).unref();
		return () => {
			clearInterval(looking);
			clearInterval(lookingAtMemory);
		};
	}

	return {
		hub,
		fanOut,
		envelopes,
		connections,
		catchUp,
		watch,
		memory,
		closing,
		gaps,
		publish: publishing(hub, order),
		sharing,
		order,
		closeChannel,
		startLooking,
	};
}

/** Without --relay, nothing is loaded and nothing is paid. */
async function sharingFor({ relay, ...options }: DeliveryOptions, parts: SharingParts): Promise<Sharing | undefined> {
	if (relay === undefined) return undefined;
	const { shareChannels } = await import('./relay/sharing.js');
	return shareChannels({ ...options, relay }, parts);
}
