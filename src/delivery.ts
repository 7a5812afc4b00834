// Builds the parts that carry messages to subscribers, and those that look after slow subscribers and the memory that they take.
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
import { CatchUp } from './slow/catch-up.js';
import { MemoryBudget, memoryLookMs, readResidentBytes } from './slow/memory.js';
import { lookMs, SlowWatch } from './slow/watch.js';
import { pacingLimits } from './websocket/pacing-limits.js';

export type DeliveryOptions = {
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
	/** Undefined without a relay. */
	readonly order: SharedOrder | undefined;
	/** Closes a channel or a session on this server. */
	readonly closeChannel: CloseChannel;
	/** Looks at slow subscribers and at the memory from now on, until the function that it gives is called. */
	startLooking(): () => void;
};

export function buildDelivery(
	app: App,
	isTls: boolean,
	{ maxBacklog, writeTimeout, memoryBudget, drain }: DeliveryOptions,
	order: SharedOrder | undefined,
	log: Log,
): Delivery {
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
		log,
	});
	const closing = new Closing(hub, connections, catchUp, order);

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
		gaps: new Gaps(hub, closing, drain * 1_000),
		publish: publishing(hub, order),
		order,
		closeChannel: operatorCloser(hub, closing),
		startLooking,
	};
}
