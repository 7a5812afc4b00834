// One server: builds the parts, and starts and stops them. It has no rules of its own.
import { readFileSync } from 'node:fs';
import { clientAddressBehind } from './connections/client-address.js';
import { limitCauses, reachedLimits } from './connections/limits.js';
import { agingStepMs, expiryAfter, startAging } from './connections/max-age.js';
import { Membership } from './connections/membership.js';
import { spread } from './connections/spread.js';
import { buildDelivery } from './delivery.js';
import { loadEngine } from './engine.js';
import { questionOutcomes } from './hooks/authorisation.js';
import { startCallbacks } from './hooks/callbacks.js';
import { connectHooks } from './hooks/hooks.js';
import { judgementOutcomes } from './hooks/publish-hook.js';
import { endpointFields } from './hooks/question.js';
import { Admission } from './http/admission.js';
import { asking } from './http/asking.js';
import { InFlight } from './http/in-flight.js';
import { formatOriginRule, originPolicy } from './http/origin.js';
import type { PageDocument } from './http/page.js';
import { publisher } from './http/publisher.js';
import { refusalCauses } from './http/reply.js';
import { AnswerTurns } from './http/turns.js';
import { type Address, bindable, formatAddress, reachable, type TcpAddress } from './listening/addresses.js';
import { connectionLimit, pausedWithoutDescriptors } from './listening/descriptors.js';
import { listen } from './listening/listen.js';
import { readOpenFilesMax } from './listening/open-files.js';
import { checkTls } from './listening/tls.js';
import { eventLog } from './observe/event-log.js';
import { eventsTo } from './observe/events.js';
import type { Log } from './observe/log.js';
import { Metrics } from './observe/metrics.js';
import { operatorEndpoints } from './operator/endpoints.js';
import { boundPort, startOperatorListener } from './operator/listener.js';
import { operatorHosts } from './operator/visitors.js';
import type { Options } from './options/table.js';
import { closeCauses } from './pubsub/close.js';
import { addRoutes } from './routes.js';
import { stopInPhases } from './stop.js';
import { warnOfOptions } from './warnings.js';

export type Server = {
	/** Where it listens, with the real port. */
	readonly address: Address;
	/** The operator's listener, unless it is off. */
	readonly operatorAddress: TcpAddress | undefined;
	/** How many websockets and event streams it takes. */
	readonly connectionsMax: number;
	/** Of uWebSockets.js. */
	readonly engineVersion: string;
	/**
	 * Tells load balancers, stops listening, lets requests finish, closes every connection, and drops what peers leave open.
	 */
	stop(): Promise<void>;
};

// The drop of the last peers queues callbacks, which may take this long.
const lastPatienceMs = 1_000;

/** Starts a server. Throws a StartError, and leaves nothing open, if it cannot. */
export async function startServer(options: Options, log: Log): Promise<Server> {
	const engine = loadEngine();
	if (engine.passedOver !== undefined) log.warn({ event: 'engine' }, engine.passedOver);
	warnOfOptions(options, log);
	const tls = options.tlsCert && options.tlsKey ? { cert: options.tlsCert, key: options.tlsKey } : undefined;
	if (tls) checkTls(tls);
	const app = engine.createApp(tls);

	const metrics = new Metrics({ refusalCauses, closeCauses, questionOutcomes, judgementOutcomes });
	const originSetting = options.origin.map(formatOriginRule).join(',');
	const callbacks = await startCallbacks({
		...options,
		address: () => listening.address,
		calledBack: (...outcome) => events.calledBack(...outcome),
	});
	const events = eventsTo(metrics, eventLog(log, limitCauses, originSetting), ...callbacks.listeners);
	const inFlight = new InFlight();
	const delivery = await buildDelivery(app, tls !== undefined, options, {
		events,
		onRoundTrip: (seconds) => metrics.relaySeconds.observe(seconds),
		inFlight,
		log,
	});
	const { hub, connections, catchUp, watch, memory, closing, sharing } = delivery;
	const relay = sharing?.relay;
	let endpoint: readonly string[] = [];
	const hooks = await connectHooks(options, events, { endpoint: () => endpoint, inFlight });
	const { authorisation, publishHook } = hooks;
	const ask = authorisation && asking(authorisation, () => endpoint);
	const mayPublish = options.clientPublish === 'all';
	const maxConnections = connectionLimit(
		options.maxConnections,
		readOpenFilesMax(),
		hooks.connectionsMax + callbacks.connectionsMax + (sharing?.connectionsMax ?? 0),
		log,
	);
	let state: 'starting' | 'ready' | 'stopping' = 'starting';
	const isStopping = () => state === 'stopping';
	const messagePublisher = publisher({ ...options, publish: delivery.publish });
	const checkOrigin = originPolicy(options.origin);
	const namesClients = log.isLevelEnabled('debug');

	addRoutes(app, {
		...options,
		...delivery,
		membership: new Membership({ ...delivery, events }),
		events,
		inFlight,
		ask,
		isAsking: ask !== undefined,
		publishHook,
		publisher: messagePublisher,
		isStopping,
		page: readPage(),
		clientAddress: clientAddressBehind(options.trustProxy),
		namesClients,
		checkOrigin,
		admission: new Admission({
			...options,
			checkOrigin,
			reachedLimits: reachedLimits(hub, connections, { ...options, maxConnections, isMemoryFull: () => memory.isFull }),
			ask,
			order: delivery.order,
			keepsParties: namesClients || options.trustProxy.length > 0 || callbacks.listeners.length > 0,
			connections,
			isStopping,
			expiry: expiryAfter(options.maxAge),
			mayPublish,
		}),
		turns: new AnswerTurns(),
		mayPublish,
		allowsPost: options.post === 'public',
		isTls: tls !== undefined,
	});

	const operatorAddress = options.mport === 'off' ? undefined : await bindable('--mport', options.mport);
	await sharing?.start();
	const listening = pausedWithoutDescriptors(await listen(engine, app, options.addr, options.addrMode).catch(leaveRelay), log);
	const operator =
		operatorAddress &&
		(await startOperatorListener(operatorAddress, operatorHosts(options, operatorAddress), endpoints(), inFlight, log).catch(
			abandon,
		));
	const boundOperator = operatorAddress && operator && { host: operatorAddress.host, port: boundPort(operator) };
	endpoint = endpointFields(
		options.endpoint ?? (boundOperator && formatAddress(reachable(boundOperator))),
		options.sessionHeader,
	);
	const stopLooking = delivery.startLooking();
	const agingMs = agingStepMs(options.maxAge, authorisation !== undefined);
	if (agingMs !== undefined) startAging(agingMs, () => closing.expired());
	state = 'ready';

	return {
		address: listening.address,
		operatorAddress: boundOperator,
		connectionsMax: maxConnections,
		engineVersion: engine.version,
		stop,
	};

	function endpoints() {
		return operatorEndpoints({
			...options,
			...delivery,
			metrics,
			events,
			log,
			publisher: messagePublisher,
			slow: () => watch.count,
			whyNotReady,
			waitingForHooks: {
				questions: () => authorisation?.waiting ?? 0,
				messages: () => publishHook?.held ?? 0,
				callbacks: callbacks.queued,
			},
			unreadBytesOf: (connection) => catchUp.unreadBytesOf(connection),
			closingCount: () => catchUp.endingCount,
			isStopping,
			stop,
			shed,
			maxConnections,
		});
	}

	function whyNotReady(): string | undefined {
		if (state !== 'ready') return 'stopping';
		if (memory.isOver) return 'over --memory-budget';
		return relay?.missing === undefined ? undefined : `relay: ${relay.missing}`;
	}

	function abandon(error: unknown): never {
		listening.stop();
		app.close();
		return leaveRelay(error);
	}

	/** The connections to the relay would keep the process alive. */
	function leaveRelay(error: unknown): never {
		relay?.stop();
		throw error;
	}

	async function stop(): Promise<void> {
		if (state === 'stopping') return;
		state = 'stopping';
		authorisation?.stop();
		await stopInPhases({
			...options,
			hub,
			connections,
			closing,
			inFlight,
			stopListening: () => listening.stop(),
			closeOperator() {
				operator?.close();
				operator?.closeAllConnections();
			},
			finishPublishing: async (patienceMs) => {
				if (relay !== undefined) await inFlight.idle(patienceMs);
			},
			finishCallbacks: callbacks.finish,
			dropPeers() {
				stopLooking();
				app.close();
			},
			closeServices() {
				hooks.close();
				relay?.stop();
				void callbacks.finish(lastPatienceMs).then(callbacks.close);
			},
		});
	}

	/** Closes the connections that are open now, in place of an earlier call, and gives how many. */
	function shed(overSeconds: number): number {
		const present = connections.count;
		void spread(closing.all('moved'), present, overSeconds * 1_000);
		return present;
	}
}

function readPage(): PageDocument {
	return JSON.parse(readFileSync(new URL('./page/document.json', import.meta.url), 'utf8'));
}
