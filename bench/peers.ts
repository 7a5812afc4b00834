// The servers that are measured: how each is started, and what it can do.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { withOlderEngine } from './engines.js';
import type { DialectName } from './load/job.js';
import { needsRelay } from './relays.js';

export type TlsFiles = { readonly cert: string; readonly key: string };
export type StartOptions = {
	readonly port: number;
	/** A second free port, for a server that insists on one. */
	readonly sparePort: number;
	readonly tls: TlsFiles | undefined;
	/** A folder of its own, for its configuration. */
	readonly folder: string;
	/** The URL of the Redis that connects the nodes, if the peer has one. */
	readonly relay: string | undefined;
	/** How many channels a client subscribes to over one websocket, if to more than one. */
	readonly channelsPerConnection: number | undefined;
};
export type Command = { readonly file: string; readonly args: readonly string[] };

export type Peer = {
	readonly name: string;
	readonly dialect: DialectName;
	/** How many processes a node of it runs as when it is ready. */
	readonly processes: number;
	/** How many nodes serve the same channels; one, if not given. */
	readonly nodes?: number;
	/** How the nodes reach the Redis that connects them, if there is one. */
	readonly relay?: 'tcp' | 'unix';
	readonly canPost: boolean;
	/** Whether it serves event streams, too. */
	readonly canStream?: boolean;
	/** The one kind of scenario that measures this peer. Its websockets are those of another peer, or it exists for that kind. */
	readonly only?: 'post' | 'streams' | 'connects' | 'groups' | 'relay';
	/** Runs on the older engine; left out where that does not load, or is what the others run on. */
	readonly isOnOlderEngine?: boolean;
	/** Whether a client can have many channels on one websocket. */
	readonly canHold?: boolean;
	/** The files without which it cannot run, and how to get them. */
	readonly needs?: readonly { readonly file: string; readonly remedy: string }[];
	command(options: StartOptions): Command;
};

const build = fileURLToPath(new URL('.', import.meta.url));
const sources = fileURLToPath(new URL('../', import.meta.url));
const bun = join(sources, 'node_modules/@oven/bun-linux-x64/bin/bun');

/** pathcast as it is built in a checkout. */
export function pathcastIn(checkout: string, name: string): Peer {
	return {
		name,
		dialect: 'websocket',
		processes: 1,
		canPost: true,
		canStream: true,
		canHold: true,
		command: ({ port, tls, relay, channelsPerConnection }) => ({
			file: process.execPath,
			args: [
				join(checkout, 'dist/cli.js'),
				...['--addr', `127.0.0.1:${port}`, '--mport', '0'],
				...(tls ? ['--tls-cert', tls.cert, '--tls-key', tls.key] : []),
				...(relay ? ['--relay', relay] : []),
				...(channelsPerConnection ? ['--groups', '--max-groups', String(channelsPerConnection)] : []),
			],
		}),
	};
}

/** Nodes of it that share their channels. */
export function relayedIn(checkout: string, name: string, relay: 'tcp' | 'unix', nodes: number): Peer {
	return { ...pathcastIn(checkout, name), only: 'relay', relay, nodes, needs: [needsRelay] };
}

const pathcast = pathcastIn(join(sources, '..'), 'pathcast');

/** Asks a service about each handshake. */
const asking: Peer = {
	...pathcast,
	name: 'pathcast --auth',
	only: 'connects',
	command(options) {
		const { file, args } = pathcast.command(options);
		return { file, args: [join(build, 'peers/asking.js'), ...args] };
	},
};

/** One websocket for all channels of a client. */
const groups: Peer = {
	...pathcast,
	name: 'pathcast --groups',
	dialect: 'groups',
	only: 'groups',
	command(options) {
		const { file, args } = pathcast.command(options);
		return { file, args: [...args, '--groups'] };
	},
};

const checkout = join(sources, '..');
const relayed: readonly Peer[] = [
	relayedIn(checkout, 'pathcast --relay', 'tcp', 2),
	relayedIn(checkout, 'pathcast --relay unix x1', 'unix', 1),
	relayedIn(checkout, 'pathcast --relay unix x2', 'unix', 2),
];

function bareEngine(when: 'handler' | 'deferred', checks: 'plain' | 'checked'): Peer {
	return {
		name: `engine ${when}${checks === 'checked' ? ' checked' : ''}`,
		dialect: 'websocket',
		processes: 1,
		canPost: true,
		...(checks === 'checked' && { only: 'post' }),
		command: (options) => script('bare-engine.js', options, [when, checks]),
	};
}

/** The same on the older engine. By POST alone, where what the engines refuse by themselves differs. */
function onOlderEngine(peer: Peer): Peer {
	return {
		...peer,
		name: `${peer.name} (older engine)`,
		only: 'post',
		isOnOlderEngine: true,
		command(options) {
			const { file, args } = peer.command(options);
			return { file, args: [...withOlderEngine, ...args] };
		},
	};
}

/** A script of ours, run by this Node: its port, its own arguments, its TLS files. */
function script(name: string, { port, tls }: StartOptions, args: readonly string[] = []): Command {
	return { file: process.execPath, args: [join(build, 'peers', name), String(port), ...args, ...tlsArgs(tls)] };
}

function tlsArgs(tls: TlsFiles | undefined): string[] {
	return tls === undefined ? [] : [tls.cert, tls.key];
}

const ws: Peer = {
	name: 'ws',
	dialect: 'websocket',
	processes: 1,
	canPost: true,
	command: (options) => script('ws.js', options),
};

const nodeStreams: Peer = {
	name: 'node-sse',
	dialect: 'event-stream',
	processes: 1,
	canPost: true,
	canStream: true,
	only: 'streams',
	command: (options) => script('node-sse.js', options),
};

const bunServer: Peer = {
	name: 'Bun',
	dialect: 'websocket',
	processes: 1,
	canPost: true,
	needs: [{ file: bun, remedy: 'it is installed by "npm run bench" on linux x64' }],
	command: ({ port, tls }) => ({ file: bun, args: [join(build, 'peers/bun.js'), String(port), ...tlsArgs(tls)] }),
};

const needsNchan = {
	file: '/usr/lib/nginx/modules/ngx_nchan_module.so',
	remedy: 'apt-get install nginx-light libnginx-mod-nchan',
};

function nchan(workers: number): Peer {
	return {
		name: workers === 1 ? 'nchan' : 'nchan x2',
		dialect: 'websocket',
		processes: 1 + workers,
		canPost: true,
		canStream: true,
		needs: [needsNchan],
		command(options) {
			const tls = options.tls && `ssl_certificate ${options.tls.cert}; ssl_certificate_key ${options.tls.key};`;
			const values = { WORKERS: String(workers), LISTEN: tls ? 'ssl' : '', TLS: tls ?? '' };
			const config = writeConfig('nchan.conf', options, values);
			return { file: '/usr/sbin/nginx', args: ['-c', config, '-e', 'stderr'] };
		},
	};
}

const nchanRedis: Peer = {
	name: 'nchan redis',
	dialect: 'websocket',
	processes: 2,
	nodes: 2,
	relay: 'tcp',
	canPost: true,
	only: 'relay',
	needs: [needsNchan, needsRelay],
	command(options) {
		const config = writeConfig('nchan-redis.conf', options, { RELAY: options.relay ?? '' });
		return { file: '/usr/sbin/nginx', args: ['-c', config, '-e', 'stderr'] };
	},
};

const socketIo: Peer = {
	name: 'socket.io redis',
	dialect: 'socket.io',
	processes: 1,
	nodes: 2,
	relay: 'tcp',
	canPost: false,
	only: 'relay',
	needs: [
		{ file: join(sources, 'node_modules/socket.io/package.json'), remedy: 'it is installed by "npm run bench"' },
		needsRelay,
	],
	command: (options) => script('socket-io.js', options, [options.relay ?? '']),
};

const mosquitto: Peer = {
	name: 'mosquitto',
	dialect: 'mqtt',
	processes: 1,
	canPost: false,
	needs: [{ file: '/usr/sbin/mosquitto', remedy: 'apt-get install mosquitto' }],
	command(options) {
		const tls = options.tls ? `certfile ${options.tls.cert}\nkeyfile ${options.tls.key}` : '';
		return { file: '/usr/sbin/mosquitto', args: ['-c', writeConfig('mosquitto.conf', options, { TLS: tls })] };
	},
};

const natsServer: Peer = {
	name: 'NATS',
	dialect: 'nats',
	processes: 1,
	canPost: false,
	needs: [{ file: '/usr/sbin/nats-server', remedy: 'apt-get install nats-server' }],
	command(options) {
		const tls = options.tls ? `tls { cert_file: "${options.tls.cert}", key_file: "${options.tls.key}" }` : 'no_tls: true';
		return { file: '/usr/sbin/nats-server', args: ['-c', writeConfig('nats.conf', options, { TLS: tls })] };
	},
};

/** Fills in a committed configuration and gives the path of what came of it. */
function writeConfig(name: string, { port, sparePort, folder }: StartOptions, more: Record<string, string> = {}): string {
	const values: Record<string, string> = { PORT: String(port), SPARE_PORT: String(sparePort), FOLDER: folder, ...more };
	const template = readFileSync(join(sources, 'peers', name), 'utf8');
	mkdirSync(folder, { recursive: true });
	const path = join(folder, name);
	writeFileSync(
		path,
		template.replaceAll(/@(\w+)@/g, (_match, key: string) => values[key] ?? ''),
	);
	return path;
}

export const peers: readonly Peer[] = [
	pathcast,
	asking,
	groups,
	bareEngine('handler', 'plain'),
	bareEngine('deferred', 'plain'),
	bareEngine('handler', 'checked'),
	bareEngine('deferred', 'checked'),
	onOlderEngine(pathcast),
	onOlderEngine(bareEngine('handler', 'plain')),
	onOlderEngine(bareEngine('deferred', 'plain')),
	ws,
	nodeStreams,
	bunServer,
	nchan(1),
	nchan(2),
	mosquitto,
	natsServer,
	...relayed,
	nchanRedis,
	socketIo,
];

/** Why a peer cannot be measured here; undefined if it can. */
export function whyMissing({ needs }: Peer): string | undefined {
	const missing = needs?.find(({ file }) => !existsSync(file));
	return missing && `not installed: ${missing.remedy}`;
}
