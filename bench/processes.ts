// Starts, pins, feeds and ends the processes of a run: a server, and load processes against it.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openSocket } from './load/connection.js';
import { dialects } from './load/dialect.js';
import type { DialectName, Job, Measurement, Report, Target } from './load/job.js';
import type { Command, Peer, TlsFiles } from './peers.js';
import { relayAnswers, relayCommand, relayUrl } from './relays.js';

const startMsMax = 10_000;
/** Beyond what it was told to measure: connecting, warming up, the last deliveries. */
const jobMsMax = 60_000;

/** The processors of the server and of the load, as taskset takes them; undefined where they cannot be kept apart. */
export type Pinning = { readonly server: string; readonly load: string } | undefined;

export function pinning(): Pinning {
	if (spawnSync('taskset', ['--version']).status !== 0) return undefined;
	const list = /^Cpus_allowed_list:\s+(.*)$/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1] ?? '';
	const processors = list.split(',').flatMap((range) => {
		const [first, last] = range.split('-').map(Number) as [number, number?];
		return Array.from({ length: (last ?? first) - first + 1 }, (_, index) => first + index);
	});
	const load = processors.pop();
	return load === undefined || processors.length === 0 ? undefined : { server: processors.join(','), load: String(load) };
}

const running = new Set<ChildProcess>();

/** Ends whatever still runs: for the end of this process, whichever way it comes. */
export function killAll(): void {
	for (const child of running) kill(child);
}

export type RunningServer = { readonly target: Target; stop(): Promise<void> };

export type StartParts = {
	readonly peer: Peer;
	readonly pin: Pinning;
	readonly folder: string;
	readonly tls?: TlsFiles | undefined;
	/** That of the peer, if not given. */
	readonly dialect?: DialectName | undefined;
	readonly channelsPerConnection?: number | undefined;
};

/**
 * Starts a peer, all nodes of it, and the Redis that connects them. Waits until each answers in the dialect that the load speaks. Throws
 * the reason if one does not.
 */
export async function startServer(parts: StartParts): Promise<RunningServer> {
	const { peer, pin, folder } = parts;
	const children: ChildProcess[] = [];
	const stop = async () => {
		for (const child of children.reverse()) await end(child);
	};
	try {
		const redis = peer.relay && (await startRelay(folder, pin, children));
		const url = peer.relay && redis && relayUrl(peer.relay, redis.port, folder);
		const nodes: Target[] = [];
		for (let node = 0; node < (peer.nodes ?? 1); node++) nodes.push(await startNode(parts, node, url, children));
		const [first, ...others] = nodes as [Target, ...Target[]];
		const target: Target = {
			...first,
			pids: nodes.flatMap(({ pids }) => pids),
			...(others.length > 0 && { otherPorts: others.map(({ port }) => port) }),
			...(redis && { relay: redis }),
		};
		return { target, stop };
	} catch (error) {
		await stop();
		throw error;
	}
}

async function startRelay(folder: string, pin: Pinning, children: ChildProcess[]): Promise<NonNullable<Target['relay']>> {
	mkdirSync(folder, { recursive: true });
	const [port] = await freePorts();
	const child = await startUntil('Redis', relayCommand(port, folder), pin, children, () => relayAnswers(port));
	return { pid: child.pid as number, port };
}

async function startNode(parts: StartParts, node: number, relay: string | undefined, children: ChildProcess[]): Promise<Target> {
	const { peer, pin, tls, dialect = peer.dialect, channelsPerConnection } = parts;
	const [port, sparePort] = await freePorts();
	const folder = join(parts.folder, String(node));
	const command = peer.command({ port, sparePort, tls, folder, relay, channelsPerConnection });
	const target = { host: '127.0.0.1', port, isTls: tls !== undefined, dialect, pathPrefix: '', pids: [] };
	let pids: number[] = [];
	await startUntil(peer.name, command, pin, children, async ({ pid }) => {
		pids = processGroup(pid as number);
		return pids.length >= peer.processes && (await answers(target));
	});
	return { ...target, pids };
}

/** Starts a process, adds it to those that are to be ended, and waits until it is ready. */
async function startUntil(
	name: string,
	{ file, args }: Command,
	pin: Pinning,
	children: ChildProcess[],
	isReady: (child: ChildProcess) => Promise<boolean>,
): Promise<ChildProcess> {
	const child = start(file, args, pin?.server, ['ignore', 'ignore', 'pipe']);
	children.push(child);
	let errors = '';
	child.stderr?.on('data', (chunk) => {
		errors = (errors + chunk).slice(-2_000);
	});
	const deadline = Date.now() + startMsMax;
	while (!(await isReady(child))) {
		if (!isRunning(child)) throw new Error(`${name} did not start: ${errors.trim().split('\n').at(-1) ?? ''}`);
		if (Date.now() > deadline) throw new Error(`${name} does not answer within ${startMsMax / 1_000} s: ${errors.trim()}`);
		await new Promise((resolve) => setTimeout(resolve, 10));
	}
	return child;
}

/** Runs a job in a load process of its own and gives what it measured. Throws the reason if it failed. */
export async function runJob(job: Job, pin: Pinning, onMeasuring: () => void = () => {}): Promise<Measurement> {
	const { child, outcome } = startJob(job, pin, onMeasuring);
	try {
		return await outcome;
	} finally {
		await end(child);
	}
}

/** Starts a job that goes on until it is stopped, and returns when it is under way. Stopping throws if it had failed. */
export async function runBeside(job: Job, pin: Pinning): Promise<() => Promise<void>> {
	let onMeasuring = () => {};
	const measuring = new Promise<void>((resolve) => {
		onMeasuring = resolve;
	});
	const { child, outcome } = startJob(job, pin, onMeasuring);
	let failure: unknown;
	outcome.catch((error) => {
		failure = error;
	});
	try {
		await Promise.race([measuring, outcome]);
	} catch (error) {
		await end(child);
		throw error;
	}
	return async () => {
		const failedBefore = failure;
		await end(child);
		if (failedBefore !== undefined) throw failedBefore;
	};
}

function startJob(job: Job, pin: Pinning, onMeasuring: () => void): { child: ChildProcess; outcome: Promise<Measurement> } {
	const main = fileURLToPath(new URL('load/main.js', import.meta.url));
	const child = start(process.execPath, [main], pin?.load, ['ignore', 'inherit', 'inherit', 'ipc']);
	const outcome = new Promise<Measurement>((resolve, reject) => {
		const timer = setTimeout(() => reject(new Error('the load process did not finish in time')), job.measureMs + jobMsMax);
		child.on('message', (report: Report) => {
			if (report.kind === 'measuring') onMeasuring();
			if (report.kind === 'failed') reject(new Error(report.reason));
			if (report.kind === 'done') resolve(report.measurement);
		});
		child.on('exit', () => {
			clearTimeout(timer);
			reject(new Error('the load process ended without a report'));
		});
	});
	child.send(job);
	return { child, outcome };
}

function start(
	file: string,
	args: readonly string[],
	processors: string | undefined,
	stdio: ('ignore' | 'inherit' | 'pipe' | 'ipc')[],
): ChildProcess {
	const [command, ...rest] = processors === undefined ? [file, ...args] : ['taskset', '-c', processors, file, ...args];
	// A group of its own, so that the workers of a server end with it.
	const child = spawn(command as string, rest, { stdio, detached: true });
	running.add(child);
	child.once('exit', () => running.delete(child));
	child.once('error', () => running.delete(child));
	return child;
}

function isRunning(child: ChildProcess): boolean {
	return child.exitCode === null && child.signalCode === null && child.pid !== undefined;
}

async function end(child: ChildProcess): Promise<void> {
	if (!isRunning(child)) return;
	const exited = once(child, 'exit');
	kill(child);
	await exited;
}

function kill(child: ChildProcess): void {
	if (child.pid !== undefined && isRunning(child)) process.kill(-child.pid, 'SIGKILL');
}

/** Whether a handshake is answered: a listening socket alone may still be without a process that accepts. */
function answers(target: Target): Promise<boolean> {
	return new Promise((resolve) => {
		const socket = openSocket(target, () => {
			socket.destroy();
			resolve(true);
		});
		socket.setTimeout(1_000, () => socket.destroy());
		socket.on('error', () => {});
		socket.on('close', () => resolve(false));
		socket.write(dialects[target.dialect].request(target, '/'));
	});
}

/** Two ports, both taken before either is given back: else they might be the same. */
async function freePorts(): Promise<[number, number]> {
	const servers = [createServer(), createServer()] as const;
	const taken = servers.map(async (server) => {
		await once(server.listen(0, '127.0.0.1'), 'listening');
		return (server.address() as AddressInfo).port;
	});
	const [first, second] = (await Promise.all(taken)) as [number, number];
	await Promise.all(servers.map((server) => once(server.close(), 'close')));
	return [first, second];
}

function processGroup(group: number): number[] {
	return processes().filter((pid) => {
		try {
			const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
			// The third field after the name is the process group (proc(5)).
			return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[2]) === group;
		} catch {
			return false; // It has ended meanwhile.
		}
	});
}

/** The processes of this machine that listen on a port; empty if it is none of this machine's, or not ours to see. */
export function listeners(port: number): number[] {
	const inodes = new Set<string>();
	for (const table of ['/proc/net/tcp', '/proc/net/tcp6']) {
		for (const line of readFileSync(table, 'latin1').split('\n').slice(1)) {
			const fields = line.trim().split(/\s+/);
			const isListening = fields[3] === '0A';
			if (isListening && Number.parseInt(fields[1]?.split(':')[1] ?? '', 16) === port) inodes.add(`socket:[${fields[9]}]`);
		}
	}
	return processes().filter((pid) => {
		try {
			return readdirSync(`/proc/${pid}/fd`).some((fd) => inodes.has(readlinkSync(`/proc/${pid}/fd/${fd}`)));
		} catch {
			return false; // Another user's, or it has ended meanwhile.
		}
	});
}

function processes(): number[] {
	return readdirSync('/proc').map(Number).filter(Number.isInteger);
}
