// The servers that are measured: how each is started, and what it can do.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { withOlderEngine } from './engines.js';
import type { DialectName } from './load/job.js';

export type TlsFiles = { readonly cert: string; readonly key: string };
export type StartOptions = {
	readonly port: number;
	/** A second free port, for a server that insists on one. */
	readonly sparePort: number;
	readonly tls: TlsFiles | undefined;
	/** A folder of its own, for its configuration. */
	readonly folder: string;
};
export type Command = { readonly file: string; readonly args: readonly string[] };

export type Peer = {
	readonly name: string;
	readonly dialect: DialectName;
	/** How many processes it runs as when it is ready. */
	readonly processes: number;
	readonly canPost: boolean;
	/** Whether it serves event streams, too. */
	readonly canStream?: boolean;
	/** The one kind of scenario that measures this peer. Its websockets are those of another peer, or it exists for that kind. */
	readonly only?: 'post' | 'streams' | 'connects' | 'groups';
	/** Runs on the older engine; left out where that does not load, or is what the others run on. */
	readonly isOnOlderEngine?: boolean;
	/** The file without which it cannot run, and how to get it. */
	readonly needs?: { readonly file: string; readonly remedy: string };
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
		command: ({ port, tls }) => ({
			file: process.execPath,
			args: [
				join(checkout, 'dist/cli.js'),
				...['--addr', `127.0.0.1:${port}`, '--mport', '0'],
				...(tls ? ['--tls-cert', tls.cert, '--tls-key', tls.key] : []),
			],
		}),
	};
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
	needs: { file: bun, remedy: 'it is installed by "npm run bench" on linux x64' },
	command: ({ port, tls }) => ({ file: bun, args: [join(build, 'peers/bun.js'), String(port), ...tlsArgs(tls)] }),
};

function nchan(workers: number): Peer {
	return {
		name: workers === 1 ? 'nchan' : 'nchan x2',
		dialect: 'websocket',
		processes: 1 + workers,
		canPost: true,
		canStream: true,
		needs: { file: '/usr/lib/nginx/modules/ngx_nchan_module.so', remedy: 'apt-get install nginx-light libnginx-mod-nchan' },
		command(options) {
			const tls = options.tls && `ssl_certificate ${options.tls.cert}; ssl_certificate_key ${options.tls.key};`;
			const values = { WORKERS: String(workers), LISTEN: tls ? 'ssl' : '', TLS: tls ?? '' };
			const config = writeConfig('nchan.conf', options, values);
			return { file: '/usr/sbin/nginx', args: ['-c', config, '-e', 'stderr'] };
		},
	};
}

const mosquitto: Peer = {
	name: 'mosquitto',
	dialect: 'mqtt',
	processes: 1,
	canPost: false,
	needs: { file: '/usr/sbin/mosquitto', remedy: 'apt-get install mosquitto' },
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
	needs: { file: '/usr/sbin/nats-server', remedy: 'apt-get install nats-server' },
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
];

/** Why a peer cannot be measured here; undefined if it can. */
export function whyMissing({ needs }: Peer): string | undefined {
	return needs === undefined || existsSync(needs.file) ? undefined : `not installed: ${needs.remedy}`;
}
