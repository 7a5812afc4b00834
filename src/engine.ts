// The only value import of uWebSockets.js: refuses its JavaScript fallback, listens exclusively, fills gaps in its types.

import type * as uWS from 'uWebSockets.js';
import { createRequire } from 'node:module';
import { StartError } from './start-error.js';

export type { HttpRequest, HttpResponse, us_socket_context_t as UpgradeContext } from 'uWebSockets.js';
export type ListenSocket = uWS.us_listen_socket;
export type Socket<UserData> = uWS.WebSocket<UserData>;
/** The engine's behaviour of a websocket route; its types call this flag a number. */
export type SocketBehavior<UserData> = Omit<uWS.WebSocketBehavior<UserData>, 'closeOnBackpressureLimit'> & {
	closeOnBackpressureLimit: boolean;
};

/** What the declared type lacks: `close`, and `listen` with a host as well as options. */
export type App = Omit<uWS.TemplatedApp, 'ws' | 'listen'> & {
	ws<UserData>(pattern: string, behavior: SocketBehavior<UserData>): App;
	listen(host: string, port: number, options: number, cb: (socket: ListenSocket | false) => void): App;
	/** Drops every connection at once, without a close frame. */
	close(): void;
};

export type Engine = {
	/** An app that speaks TLS, if it is given files that are known to be good. */
	createApp(tls: { readonly cert: string; readonly key: string } | undefined): App;
	/** Listens on one address that no other process shares. False if that address cannot be had. */
	listen(app: App, host: string, port: number): ListenSocket | false;
	/** Listens on a UNIX socket, for this user alone, in place of whatever is at its path. False if it cannot be had. */
	listenOnPath(app: App, path: string): ListenSocket | false;
	/** The port that a listening socket has, where 0 was asked for. */
	localPort(socket: ListenSocket): number;
	stopListening(socket: ListenSocket): void;
};

/** Loads the native engine. Throws a StartError where there is none for this Node. */
export function loadEngine(): Engine {
	const engine = loadQuietly();
	// In the fallback, publish throws "Not implemented".
	if (!('SSLApp' in engine)) {
		throw new StartError(
			`Node ${process.version} on ${process.platform} ${process.arch} has no native build of uWebSockets.js in this installation: ` +
				'use Node 20, or install the official release for your Node with ' +
				'npm install uWebSockets.js@github:uNetworking/uWebSockets.js#v20.52.0',
		);
	}
	return {
		createApp(tls) {
			if (tls === undefined) return engine.App() as unknown as App;
			try {
				return engine.SSLApp({ cert_file_name: tls.cert, key_file_name: tls.key }) as unknown as App;
			} catch {
				throw new StartError(
					`--tls-cert: the engine cannot use ${tls.cert} with ${tls.key}; check that both files are the right ones.`,
				);
			}
		},
		listen(app, host, port) {
			let listening: ListenSocket | false = false;
			// Exclusively: by default the engine shares the port with a second process, and every channel splits in two.
			app.listen(host, port, engine.LIBUS_LISTEN_EXCLUSIVE_PORT, (socket) => {
				listening = socket;
			});
			return listening;
		},
		listenOnPath(app, path) {
			let listening: ListenSocket | false = false;
			app.listen_unix((socket) => {
				listening = socket;
			}, path);
			return listening;
		},
		localPort: (socket) => engine.us_socket_local_port(socket as uWS.us_socket),
		stopListening: (socket) => engine.us_listen_socket_close(socket),
	};
}

type NativeModule = typeof uWS & { LIBUS_LISTEN_EXCLUSIVE_PORT: number };

// The package announces its fallback on the console, where our users expect one line from us.
function loadQuietly(): NativeModule {
	const { log, warn } = console;
	console.log = console.warn = () => {};
	try {
		return createRequire(import.meta.url)('uWebSockets.js');
	} catch {
		// The official package throws where it has no build.
		return {} as NativeModule;
	} finally {
		console.log = log;
		console.warn = warn;
	}
}
