// The only value import of uWebSockets.js: chooses among its builds, listens exclusively, fills gaps in its types.

import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type * as uWS from 'uws-newer';
import { type FailedBuild, whyNoEngine } from './no-engine.js';
import { readProcessReport } from './process-report.js';
import { StartError } from './start-error.js';

export type {
	HttpRequest,
	HttpResponse,
	us_socket_context_t as UpgradeContext,
	WebSocketBehavior as SocketBehavior,
} from 'uws-newer';
export type ListenSocket = uWS.us_listen_socket;
export type Socket<UserData> = uWS.WebSocket<UserData>;
/** What the declared type lacks: `listen` with a host as well as options. */
export type App = uWS.TemplatedApp & {
	listen(host: string, port: number, options: number, cb: (socket: ListenSocket | false) => void): uWS.TemplatedApp;
};

export type Engine = {
	/** The version of uWebSockets.js, as its package has it. */
	readonly version: string;
	/** One line about a release that the user has installed and that does not load, so that another build serves. */
	readonly passedOver: string | undefined;
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

/** Loads the first build of the engine that fits this Node and system. Throws a StartError where there is none. */
export function loadEngine(): Engine {
	const { engine, version, passedOver } = loadFirst();
	return {
		version,
		passedOver,
		createApp(tls) {
			if (tls === undefined) return engine.App() as App;
			try {
				return engine.SSLApp({ cert_file_name: tls.cert, key_file_name: tls.key }) as App;
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
		localPort: (socket) => engine.us_socket_local_port(socket),
		stopListening: (socket) => engine.us_listen_socket_close(socket),
	};
}

/** The option of `listen`, as the builds export it. The declared type has it in an enum that no build exports. */
type NativeModule = typeof uWS & { LIBUS_LISTEN_EXCLUSIVE_PORT: number };

const { platform, arch, version: nodeVersion } = process;
const require = createRequire(import.meta.url);

const official = 'uWebSockets.js';
// The best first: an official release that the user has installed, the newest build of the registry, and one for Node 20 on
// systems whose glibc is older. The last is a binary that build-engine.ts copies: the script of its package falls back to
// JavaScript that cannot publish.
const builds: readonly { readonly name: string; readonly entry: string }[] = [
	{ name: official, entry: official },
	{ name: 'uws-newer', entry: 'uws-newer' },
	{ name: './uws-older/package.json', entry: `./uws-older/uws_${platform}_${arch}_${process.versions.modules}.node` },
];

function loadFirst(): { engine: NativeModule; version: string; passedOver: string | undefined } {
	const failed: (FailedBuild & { readonly name: string })[] = [];
	for (const { name, entry } of builds) {
		const version = installedVersion(name);
		if (version === undefined) continue;
		try {
			const engine: NativeModule = require(entry);
			const passed = failed.find((build) => build.name === official);
			const passedOver =
				passed && `uWebSockets.js ${passed.version} is installed and does not load on Node ${nodeVersion}; ${version} serves`;
			return { engine, version, passedOver };
		} catch (error) {
			failed.push({ name, version, error: String(error) });
		}
	}
	const glibc = readProcessReport().header.glibcVersionRuntime;
	throw new StartError(whyNoEngine({ platform, arch, nodeVersion, glibc }, failed));
}

/** The version of a package; undefined if it is not installed. */
function installedVersion(name: string): string | undefined {
	let file: string;
	try {
		file = require.resolve(name);
	} catch {
		return undefined;
	}
	// Not by resolving its package.json, which a package may keep to itself.
	for (let folder = dirname(file); folder !== dirname(folder); folder = dirname(folder)) {
		const manifest = join(folder, 'package.json');
		if (existsSync(manifest)) return JSON.parse(readFileSync(manifest, 'utf8')).version;
	}
	return undefined;
}
