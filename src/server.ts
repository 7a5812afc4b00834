// Puts the parts together: every route, and who knows whom.
import { readFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { clientAddressBehind } from './connections/client-address.js';
import { Farewells } from './connections/closing.js';
import { disconnectCauses, dropLaggard, type Subscriber } from './connections/connection.js';
import { channelCloser, closesPerTick, InFlight } from './connections/drain.js';
import { admission } from './connections/limits.js';
import { expiryAfter, startAging } from './connections/max-age.js';
import { spread } from './connections/spread.js';
import { loadEngine, type Socket } from './engine.js';
import { openDoor } from './http/exchange.js';
import { optionsDoor, otherMethodDoor } from './http/methods.js';
import { isOpaque, originPolicy } from './http/origin.js';
import { type PageDocument, pageDoor } from './http/page.js';
import { publishDoor } from './http/post.js';
import { publisher } from './http/publisher.js';
import { refusalCauses } from './http/reply.js';
import { AnswerTurns } from './http/turns.js';
import { type Address, bindable, type TcpAddress } from './listening/addresses.js';
import { connectionLimit, pausedWithoutDescriptors } from './listening/descriptors.js';
import { listen } from './listening/listen.js';
import { readOpenFilesMax } from './listening/open-files.js';
import { checkTls } from './listening/tls.js';
import { faultLog, type Log } from './observe/log.js';
import { Metrics, metricsExposition } from './observe/metrics.js';
import { floodLog, refusalListener } from './observe/refusals.js';
import { channelEndpoints } from './operator/channels.js';
import { drainEndpoint } from './operator/drain.js';
import { healthEndpoints } from './operator/health.js';
import { boundPort, startAdmin } from './operator/listener.js';
import { statsEndpoint } from './operator/stats.js';
import type { Options } from './options/table.js';
import { parseChannelName } from './pubsub/channel-name.js';
import { Hub } from './pubsub/hub.js';
import { Places } from './pubsub/places.js';
import type { FanOut, Judge } from './pubsub/sender.js';
import { Stragglers } from './slow/catch-up.js';
import { MemoryBudget, memoryLookMs, readResidentBytes } from './slow/memory.js';
import { Laggards, laggardLog, lookMs } from './slow/watch.js';
import { webSocketDoor } from './websocket/frames.js';
import { upgradeDoor } from './websocket/upgrade.js';

export type Server = {
	/** Where it listens, with the real port. */
	readonly address: Address;
	/** The operator's listener, unless it is off. */
	readonly operatorAddress: TcpAddress | undefined;
	/** How many websockets it takes. */
	readonly connectionsMax: number;
	/** Of uWebSockets.js. */
	readonly engineVersion: string;
	/**
	 * Tells load balancers, stops listening, lets requests finish, closes every websocket with 1012, and drops what peers
	 * leave open.
	 */
	stop(): Promise<void>;
};

const opaqueOriginWarnings = {
	null: '--origin null lets in every sandboxed page, whoever made it: any site can show one',
	'file://': '--origin file:// lets in every page that is opened from a file, whoever made it',
};

// Time for peers to close in their turn, or to read on if they lag. It ends idle keep-alive connections too.
const dropAfterMs = 1_000;
const dropLaggingAfterMs = 5_000;
const pacedWaitMs = 5;
const pacedWaitsMax = 200;
// For bodies that are still coming when the server stops.
const requestPatienceMs = 5_000;

/** Starts a server. Throws a StartError, and leaves nothing open, if it cannot. */
export async function startServer(options: Options, log: Log): Promise<Server> {
	const engine = loadEngine();
	if (engine.passedOver !== undefined) log.warn({ event: 'engine' }, engine.passedOver);
	for (const rule of options.origin.filter((rule) => typeof rule === 'string').filter(isOpaque)) {
		log.warn({ event: 'origin', setting: rule }, opaqueOriginWarnings[rule]);
	}
	const tls = options.tlsCert && options.tlsKey ? { cert: options.tlsCert, key: options.tlsKey } : undefined;
	if (tls) checkTls(tls);
	const app = engine.createApp(tls);
	const fanOut: FanOut = (topic, message) => {
		app.publish(topic, message.bytes, message.isBinary);
	};
	const judge: Judge = (channel) => stragglers.judge(channel);
	// Over TLS the engine (20.30 and 20.57) loses what it has read and not yet decrypted when a handler writes much to other sockets.
	const hub = new Hub(fanOut, judge, options.maxBacklog, tls ? 0 : undefined);
	const metrics = new Metrics(refusalCauses, disconnectCauses);
	const sockets = new Places<Socket<Subscriber>>();
	const stragglers = new Stragglers(hub, options.maxBacklog, (ws, backlogBytes) => laggards.note(ws, backlogBytes));
	const farewells = new Farewells(hub, sockets, stragglers, closesPerTick);
	const inFlight = new InFlight();
	const clientAddress = clientAddressBehind(options.trustProxy);
	const laggards = new Laggards<Socket<Subscriber>>(sockets, {
		addressOf: (ws) => ws.getUserData().ip ?? clientAddress(ws.getRemoteAddress(), undefined),
		backlogOf: (ws) => stragglers.backlogOf(ws),
		freedBy: (ws) => stragglers.freedBy(ws),
		stallMsMax: options.writeTimeout * 1_000,
		onStalled: (ws) => dropLaggard(ws, 'slow'),
		onStanding: (ws, backlogBytes) => stragglers.onStanding(ws, backlogBytes),
	});
	const memory = new MemoryBudget({
		bytesMax: options.memoryBudget,
		residentBytes: readResidentBytes,
		websockets: () => hub.subscribers,
		free: (bytes) => {
			for (const ws of laggards.largest(bytes)) dropLaggard(ws, 'memory');
		},
		log,
	});
	const connectionsMax = connectionLimit(options.maxConnections, readOpenFilesMax(), log);
	let state: 'starting' | 'ready' | 'stopping' = 'starting';
	const isStopping = () => state === 'stopping';
	const whyNotReady = () => {
		if (state !== 'ready') return 'stopping';
		return memory.isOver ? 'over --memory-budget' : undefined;
	};

	const allowsPost = options.post === 'public';
	const publish = publisher({ hub, metrics, allowsBinary: options.binary, messageBytesMax: options.maxMessage });

	const parts = {
		hub,
		publish,
		sockets,
		laggards,
		stragglers,
		onSlow: laggardLog(log),
		onFlood: floodLog(log),
		onFault: faultLog(log),
		inFlight,
		metrics,
		log,
		clientAddress,
		isBehindProxies: options.trustProxy.length > 0,
		checkOrigin: originPolicy(options.origin),
		admit: admission(hub, {
			connectionsMax,
			channelsMax: options.maxChannels,
			subscribersPerChannelMax: options.maxSubscribers,
			isMemoryFull: () => memory.isFull,
		}),
		onRefused: refusalListener(options, log, metrics, clientAddress),
		isStopping,
		turns: new AnswerTurns(),
		allowsBinary: options.binary,
		allowsPublish: options.clientPublish === 'all',
		echoesKeepalive: options.echoKeepalive,
		farewells,
		expiry: expiryAfter(options.maxAge),
		messageBytesMax: options.maxMessage,
		messagesPerSecondMax: options.maxRate,
		pathCodePointsMax: options.maxPath,
		backlogBytesMax: options.maxBacklog,
		pingTimeoutSeconds: options.pingTimeout,
	};
	const pageSettings = { messageBytesMax: options.maxMessage, takesMessages: parts.allowsPublish, takesPosts: allowsPost };
	const page = openDoor(pageDoor(readPage(), pageSettings, options.maxPath), parts);
	const post = openDoor(publishDoor(parts), parts);

	app.ws('/*', webSocketDoor(openDoor(upgradeDoor(parts), parts), parts));
	app.get('/*', page);
	app.head('/*', page);
	if (allowsPost) {
		app.post('/*', post);
		app.put('/*', post);
	}
	app.options('/*', openDoor(optionsDoor(parts.checkOrigin, allowsPost), parts));
	app.any('/*', openDoor(otherMethodDoor(allowsPost), parts));

	const operator =
		options.mport === 'off' ? undefined : { ...(await bindable('--mport', options.mport)), name: options.mport.host };
	const listening = pausedWithoutDescriptors(await listen(engine, app, options.addr, options.addrMode), log);
	const endpoints = [
		...healthEndpoints({
			exposition: metricsExposition(metrics, hub, laggards, {
				isReady: () => whyNotReady() === undefined,
				connectionsMax,
				memoryBudgetBytes: options.memoryBudget,
			}),
			whyNotReady,
		}),
		statsEndpoint(metrics, hub),
		...channelEndpoints({
			hub,
			publish,
			log,
			// Every member of a channel is a websocket.
			closeChannel: channelCloser(hub, (member) =>
				stragglers.endAtOnce(member as Socket<Subscriber>, 1000, 'the channel was closed'),
			),
			messageBytesMax: options.maxMessage,
			readName: (path) => parseChannelName(path, options.maxPath),
			onPublishRefused: (cause) => metrics.requestRefused(cause, 'publish'),
		}),
		drainEndpoint({ isStopping, stop, shed, log }),
	];
	const admin =
		operator &&
		(await startAdmin(operator, endpoints, inFlight, log).catch((error) => {
			listening.stop();
			app.close();
			throw error;
		}));
	const looking = setInterval(() => laggards.look(performance.now()), lookMs).unref();
	const lookingAtMemory = setInterval(() => memory.look(), memoryLookMs).unref();
	if (options.maxAge !== undefined) startAging(options.maxAge, () => farewells.toExpired());
	state = 'ready';

	return {
		address: listening.address,
		operatorAddress: operator && admin && { host: operator.host, port: boundPort(admin) },
		connectionsMax,
		engineVersion: engine.version,
		stop,
	};

	async function stop(): Promise<void> {
		if (state === 'stopping') return;
		state = 'stopping';
		// In this turn, if there is no delay: who is told that we stop must not get in any more.
		if (options.drainDelay > 0) await setTimeout(options.drainDelay * 1_000);
		listening.stop();
		await inFlight.idle(requestPatienceMs);
		// So few do not hurt when they return all at once.
		const overSeconds = hub.subscribers < closesPerTick ? 0 : options.drain;
		await spread(farewells.toAll('stopping'), hub.subscribers, overSeconds * 1_000);
		// What comes before the last close frames goes out at its pace, so that no reader is cut at the last moment.
		for (let waits = 0; hub.subscribers > 0 && waits < pacedWaitsMax; waits++) await setTimeout(pacedWaitMs);
		hub.flush();
		admin?.close();
		admin?.closeAllConnections();
		void setTimeout(farewells.hasBacklog ? dropLaggingAfterMs : dropAfterMs, undefined, { ref: false }).then(() => {
			clearInterval(looking);
			clearInterval(lookingAtMemory);
			app.close();
		});
	}

	/** Sends away who is here now, in place of an earlier farewell, and tells how many. */
	function shed(overSeconds: number): number {
		const present = hub.subscribers;
		void spread(farewells.toAll('moved'), present, overSeconds * 1_000);
		return present;
	}
}

function readPage(): PageDocument {
	return JSON.parse(readFileSync(new URL('./page/document.json', import.meta.url), 'utf8'));
}
