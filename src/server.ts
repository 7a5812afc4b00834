// Puts the parts together: every route, and who knows whom.
import { readFileSync } from 'node:fs';
import { openDoor } from './doors/door.js';
import { optionsDoor, otherMethodDoor } from './doors/methods.js';
import { originPolicy } from './doors/origin.js';
import { type PageDocument, pageDoor } from './doors/page.js';
import { publishDoor } from './doors/publish.js';
import { type Subscriber, webSocketDoor } from './doors/websocket.js';
import { loadEngine, type Socket } from './engine.js';
import { type Address, bindableHost, listenError, whyNotListening } from './operations/addresses.js';
import { boundPort, startAdmin } from './operations/admin.js';
import { closeAll } from './operations/drain.js';
import { type Log, rateLimited } from './operations/log.js';
import { Metrics, metricsExposition } from './operations/metrics.js';
import type { Options } from './options.js';
import { Hub } from './pubsub/hub.js';

export type Server = {
	/** Where it listens, with the real port. */
	readonly address: Address;
	/** The operator's listener, unless it is off. */
	readonly operatorAddress: Address | undefined;
	/** Stops listening and closes every websocket with 1012. What peers leave open is dropped after a second, or after five if some of them lag. */
	stop(): Promise<void>;
};

// Time for peers to close in their turn, or to read on if they lag. It ends idle keep-alive connections too.
const dropAfterMs = 1_000;
const dropLaggingAfterMs = 5_000;

/** Starts a server. Throws a StartError, and leaves nothing open, if it cannot. */
export async function startServer(options: Options, log: Log): Promise<Server> {
	const engine = loadEngine();
	const app = engine.createApp();
	const hub = new Hub((channel, message) => {
		app.publish(channel, message.bytes, message.isBinary);
	}, options.maxBacklog);
	const metrics = new Metrics();
	const sockets = new Set<Socket<Subscriber>>();
	let state: 'starting' | 'ready' | 'stopping' = 'starting';

	const logOriginRefused = rateLimited(1_000, (leftOut: number, origin: string, path: string) => {
		const setting = options.origin.map((rule) => (typeof rule === 'string' ? rule : `${rule.scheme}//${rule.host}`)).join(',');
		log.info({ event: 'refused', reason: 'origin', origin, path, setting, leftOut }, 'an origin that --origin does not allow');
	});
	const checkOrigin = originPolicy(options.origin, logOriginRefused);
	const parts = {
		hub,
		checkOrigin,
		sockets,
		metrics,
		log,
		isStopping: () => state === 'stopping',
		allowsBinary: options.binary,
		allowsPublish: options.clientPublish === 'all',
		echoesKeepalive: options.echoKeepalive,
		messageBytesMax: options.maxMessage,
		pathCodePointsMax: options.maxPath,
		backlogBytesMax: options.maxBacklog,
		pingTimeoutSeconds: options.pingTimeout,
	};
	const page = openDoor(pageDoor(readPage(), options.maxPath), log);
	const publish = openDoor(publishDoor(parts), log);

	app.ws('/*', webSocketDoor(parts));
	app.get('/*', page);
	app.head('/*', page);
	app.post('/*', publish);
	app.put('/*', publish);
	app.options('/*', openDoor(optionsDoor(checkOrigin), log));
	app.any('/*', openDoor(otherMethodDoor, log));

	const operator =
		options.mport === 'off' ? undefined : { ...options.mport, host: await bindableHost('--mport', options.mport.host) };
	const host = await bindableHost('--addr', options.addr.host);
	const admin =
		operator && (await startAdmin(operator, { exposition: metricsExposition(metrics, hub), isReady: () => state === 'ready' }));
	const listening = engine.listen(app, host, options.addr.port);
	if (listening === false) {
		admin?.close();
		const address = { host, port: options.addr.port };
		throw listenError('--addr', address, await whyNotListening(address));
	}
	state = 'ready';

	return {
		address: { host, port: engine.localPort(listening) },
		operatorAddress: operator && admin && { host: operator.host, port: boundPort(admin) },
		stop: async () => {
			if (state === 'stopping') return;
			state = 'stopping';
			engine.stopListening(listening);
			hub.flush();
			const hasBacklog = await closeAll(sockets, 1012, 'the server is restarting; connect again');
			admin?.close();
			admin?.closeAllConnections();
			setTimeout(() => app.close(), hasBacklog ? dropLaggingAfterMs : dropAfterMs).unref();
		},
	};
}

function readPage(): PageDocument {
	return JSON.parse(readFileSync(new URL('./page/document.json', import.meta.url), 'utf8'));
}
