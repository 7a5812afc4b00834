// npm run bench: measures the peers in interleaved rounds, each on a freshly started server, and says who wins what.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, release, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command, InvalidArgumentError } from 'commander';
import { chart } from './charts.js';
import { enginesHere, namesOf, whyNoOlder } from './engines.js';
import type { Job, Target } from './load/job.js';
import { type Peer, pathcastIn, peers, relayedIn, type TlsFiles, whyMissing } from './peers.js';
import { killAll, listeners, type Pinning, pinning, type RunningServer, runBeside, runJob, startServer } from './processes.js';
import {
	comparisons,
	isPathcast,
	loadCpuShareMax,
	matrix,
	type PeerRounds,
	type Round,
	type Row,
	rowsOf,
	table,
	verdict,
} from './results.js';
import { type Scenario, scenarios } from './scenarios.js';

type Options = {
	readonly quick: boolean;
	readonly only?: readonly Scenario[];
	readonly peers?: readonly Peer[];
	readonly rounds?: number;
	readonly seconds?: number;
	readonly before?: readonly Peer[];
	readonly target: readonly URL[];
	readonly out: string;
	readonly list: boolean;
	/** False with --no-pin. */
	readonly pin: boolean;
};

/** A peer of the list, or a server that somebody else has started. */
type Contender = {
	readonly name: string;
	/** Why it cannot be measured in this scenario; undefined if it can. */
	whyNot(scenario: Scenario): string | undefined;
	start(scenario: Scenario): Promise<RunningServer>;
};

// Linux's default, and what stands for none elsewhere.
const unboundedBytes = 4_294_967_295;
const sources = fileURLToPath(new URL('../', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'pathcast-bench-'));
process.on('exit', () => {
	killAll();
	rmSync(folder, { recursive: true, force: true });
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1));

await main(readCommand(process.argv));

async function main(options: Options): Promise<void> {
	const selection = (options.only ?? scenarios).filter(({ quick }) => !options.quick || quick !== undefined);
	if (options.list) {
		for (const { id, question } of selection) console.log(`${id.padEnd(16)} ${question}`);
		return;
	}
	const pin = options.pin ? pinning() : undefined;
	const engines = enginesHere();
	const withoutOlder = whyNoOlder(engines);
	const asked = [...(options.peers ?? peers), ...(options.before ?? [])];
	const leftOut = asked.filter(({ isOnOlderEngine }) => isOnOlderEngine && withoutOlder !== undefined);
	const measured = asked.filter((peer) => !leftOut.includes(peer));
	const targets = options.target.map(contenderAt);
	const { out } = options;
	mkdirSync(out, { recursive: true });
	const machine = `${cpus()[0]?.model.trim()}, ${cpus().length} processors, Linux ${release()}${setting()}, Node ${process.versions.node}, ${namesOf(engines)}`;
	const day = new Date().toISOString().slice(0, 10);
	console.log(`${machine}, ${day}. ${pinned(pin)}`);
	if (leftOut.length > 0) console.log(`Left out: ${leftOut.map(({ name }) => name).join(', ')}: ${withoutOlder}.`);
	console.log('');
	const all: { scenario: Scenario; rows: Row[] }[] = [];
	for (const [index, scenario] of selection.entries()) {
		console.log(`${scenario.id} (${index + 1} of ${selection.length}): ${scenario.question}`);
		const results = await measure(scenario, [...contendersIn(scenario, measured, pin), ...targets], options, pin);
		const rows = rowsOf(scenario, results);
		all.push({ scenario, rows });
		writeFileSync(
			join(out, `${scenario.id}.json`),
			`${JSON.stringify({ machine, day, pin, scenario, results, rows }, undefined, '\t')}\n`,
		);
		writeFileSync(join(out, `${scenario.id}.svg`), chart(scenario, rows, `${machine}, ${day}`));
		console.log(`${table(scenario, rows)}\n  ${verdict(scenario, rows)}\n`);
	}
	console.log(`${matrix(all)}\n`);
	for (const line of comparisons(all)) console.log(line);
	console.log(
		`Above 1, pathcast is ahead. "!" marks runs in which the load process was above ${100 * loadCpuShareMax} % of its processor: there,\n` +
			`the figures per second and the latencies are rather the load's. Results are in ${out}`,
	);
	const rows = all.flatMap((each) => each.rows);
	const hasFailed = rows.some((row) => isPathcast(row) && row.failed !== undefined);
	const isIncomplete = process.env.TEST_REQUIRE_ALL === '1' && rows.some(({ missing }) => missing?.startsWith('not installed'));
	if (hasFailed || isIncomplete) process.exitCode = 1;
	// The TCP connections to targets may linger.
	process.exit();
}

async function measure(
	scenario: Scenario,
	contenders: readonly Contender[],
	options: Options,
	pin: Pinning,
): Promise<PeerRounds[]> {
	const rounds = new Map<Contender, Round[]>(contenders.map((contender) => [contender, []]));
	const count = options.rounds ?? (options.quick ? 1 : 3);
	for (let round = 1; round <= count; round++) {
		for (const contender of contenders) {
			if (contender.whyNot(scenario) !== undefined) continue;
			progress(`  round ${round} of ${count}: ${contender.name}`);
			rounds.get(contender)?.push(await oneRound(scenario, contender, options, pin));
		}
	}
	progress('');
	return contenders.map((contender) => {
		const missing = contender.whyNot(scenario);
		return { peer: contender.name, rounds: rounds.get(contender) ?? [], ...(missing !== undefined && { missing }) };
	});
}

async function oneRound(scenario: Scenario, contender: Contender, options: Options, pin: Pinning): Promise<Round> {
	const { quick } = options;
	let server: RunningServer | undefined;
	let stopBeside = async () => {};
	try {
		server = await contender.start(scenario);
		const job: Job = {
			target: server.target,
			work: (quick && scenario.quick) || scenario.work,
			warmUpMs: quick ? 100 : 1_000 * (scenario.warmUpSeconds ?? 0.5),
			measureMs: measureMs(scenario, options),
		};
		if (scenario.beside !== undefined) {
			// Traffic has channels of its own.
			const ownPath = scenario.beside.kind === 'traffic' ? '/beside' : '';
			const target = { ...job.target, pathPrefix: `${job.target.pathPrefix}${ownPath}` };
			stopBeside = await runBeside({ ...job, target, work: scenario.beside, measureMs: 60_000 }, pin);
		}
		const measurement = await runJob(job, pin);
		await stopBeside();
		return measurement;
	} catch (error) {
		return { failed: error instanceof Error ? error.message : String(error) };
	} finally {
		await stopBeside().catch(() => {});
		await server?.stop();
	}
}

function measureMs({ decides, seconds: own }: Scenario, { quick, seconds }: Options): number {
	if (quick) return 200;
	if (own !== undefined) return 1_000 * own;
	// A 99th percentile needs more deliveries than a mean does.
	return 1_000 * (seconds ?? 1.5) * (decides === 'p99' ? 3 : 1);
}

/** The one kind of scenario in which this peer takes part, if it does not take part in all. */
function contendersIn(scenario: Scenario, measured: readonly Peer[], pin: Pinning): Contender[] {
	const { work, isOverStreams, isOfGroups } = scenario;
	if (scenario.isRelayed) {
		// Beside the peers that share their channels, one pathcast that does not.
		const shared = measured.filter(({ only, name }) => only === 'relay' || /^pathcast( before)?$/.test(name));
		return shared.map((peer) => contenderOf(peer, pin));
	}
	const isPost = work.kind === 'traffic' && work.by === 'post';
	const kind = isOverStreams
		? 'streams'
		: isOfGroups
			? 'groups'
			: isPost
				? 'post'
				: work.kind === 'connects'
					? 'connects'
					: undefined;
	return measured.filter(({ only }) => only === undefined || only === kind).map((peer) => contenderOf(peer, pin));
}

function contenderOf(peer: Peer, pin: Pinning): Contender {
	let count = 0;
	return {
		name: peer.name,
		whyNot({ work, isOverStreams }) {
			if (isOverStreams && !peer.canStream) return 'not applicable: it serves no event streams here';
			const isPost = work.kind === 'traffic' && work.by !== 'websocket';
			if (work.kind === 'hold' && !peer.canHold) return 'not applicable: a client has one channel here';
			if (isPost && !peer.canPost) return 'not applicable: it has no publishing by HTTP';
			if (work.kind === 'churn' && peer.dialect !== 'websocket') return `not applicable: a visit speaks no ${peer.dialect}`;
			return whyMissing(peer);
		},
		start({ work, isTls, isOverStreams }) {
			const ownFolder = join(folder, `${peer.name}-${count++}`.replaceAll(' ', '-'));
			const tls = isTls ? tlsFiles() : undefined;
			if (work.kind === 'hold')
				return startServer({ peer, pin, folder: ownFolder, dialect: 'groups', channelsPerConnection: work.perConnection });
			return startServer({ peer, pin, folder: ownFolder, tls, ...(isOverStreams && { dialect: 'event-stream' }) });
		},
	};
}

function contenderAt(url: URL): Contender {
	const isTls = url.protocol === 'wss:';
	const host = url.hostname.replace(/^\[|\]$/g, '');
	const port = Number(url.port || (isTls ? 443 : 80));
	let count = 0;
	return {
		name: url.host,
		whyNot(scenario) {
			if (scenario.isRelayed) return 'not applicable: a target is one server';
			if (scenario.isOverStreams) return 'not applicable: a target is measured by websocket';
			return (scenario.isTls ?? false) === isTls ? undefined : `not applicable: ${url.protocol}`;
		},
		start: async () => {
			const pids = ['127.0.0.1', 'localhost', '::1'].includes(host) ? listeners(port) : [];
			// A path of its own for every round: the server has been running for longer than this one.
			const pathPrefix = `${url.pathname.replace(/\/$/, '')}/bench-${process.pid}-${count++}`;
			const target: Target = { host, port, isTls, dialect: 'websocket', pathPrefix, pids };
			return { target, stop: async () => {} };
		},
	};
}

/** The certificate that the tests use: self-signed, for localhost. */
function tlsFiles(): TlsFiles {
	const file = (name: string) => join(sources, '../test/support/tls', name);
	return { cert: file('valid.cert.pem'), key: file('valid.key.pem') };
}

function pinned(pin: Pinning): string {
	if (pin === undefined) return 'Server and load are not pinned: that needs taskset and two processors.';
	return `The server runs on processor ${pin.server}, the load on ${pin.load}.`;
}

/** How much the kernel may hold for a client that does not read, where that is set: it decides what stopped readers cost. */
function setting(): string {
	const file = '/proc/sys/net/ipv4/tcp_notsent_lowat';
	const bytes = existsSync(file) ? Number(readFileSync(file, 'latin1')) : unboundedBytes;
	return bytes === unboundedBytes ? '' : ` (tcp_notsent_lowat ${bytes})`;
}

/** Overwrites itself on a terminal; elsewhere, nothing. */
function progress(line: string): void {
	if (process.stdout.isTTY) process.stdout.write(`\r\x1b[K${line}`);
}

function readCommand(argv: readonly string[]): Options {
	return (
		new Command('npm run bench --')
			.description('Measures pathcast beside what people would use instead. See bench/README.md.')
			.option('--quick', 'everything in small, in about three minutes: a smoke test, not a measurement', false)
			.option('--only <scenarios>', 'these, separated by commas', (text) => chosen(text, scenarios, ({ id }) => id))
			.option('--peers <names>', 'these, separated by commas; a beginning is enough', (text) =>
				chosen(text, peers, ({ name }) => name),
			)
			.option('--rounds <count>', 'rounds of each peer in each scenario (default 3)', whole)
			.option(
				'--seconds <seconds>',
				'how long each run is measured (default 1.5; three times that where the 99th percentile decides)',
				positive,
			)
			.option('--before <folder>', 'pathcast as it is built in another checkout, such as of the commit before', parseCheckout)
			.option('--target <url>', 'one more server, by ws:// or wss:// URL; may be repeated', parseTarget, [])
			// The documents state what is in bench/results: only who means to change that names it.
			.option('--out <folder>', 'where to put JSON and charts', 'bench/build/results')
			.option('--no-pin', 'let the system place servers and load, in place of a processor for each')
			.option('--list', 'list the scenarios and end', false)
			.parse(argv)
			.opts<Options>()
	);
}

function chosen<Item>(text: string, all: readonly Item[], nameOf: (item: Item) => string): Item[] {
	return text.split(',').flatMap((wanted) => {
		const found = all.filter((item) => nameOf(item).toLowerCase().startsWith(wanted.trim().toLowerCase()));
		const exact = found.filter((item) => nameOf(item) === wanted.trim());
		if (found.length === 0)
			throw new InvalidArgumentError(`There is no ${wanted.trim()}. There are: ${all.map(nameOf).join('; ')}.`);
		return exact.length > 0 ? exact : found;
	});
}

function whole(text: string): number {
	if (!/^[1-9][0-9]*$/.test(text)) throw new InvalidArgumentError('It must be a whole number from 1.');
	return Number(text);
}

function positive(text: string): number {
	const value = Number(text);
	if (!(value > 0)) throw new InvalidArgumentError('It must be a number above 0.');
	return value;
}

function parseCheckout(folder: string): Peer[] {
	if (!existsSync(join(folder, 'dist/cli.js'))) throw new InvalidArgumentError('There is no dist/cli.js in it: build it first.');
	const hasRelay = existsSync(join(folder, 'dist/relay'));
	return [
		pathcastIn(resolve(folder), 'pathcast before'),
		...(hasRelay ? [relayedIn(resolve(folder), 'pathcast --relay before', 'tcp', 2)] : []),
	];
}

function parseTarget(text: string, earlier: readonly URL[]): URL[] {
	const url = URL.canParse(text) ? new URL(text) : undefined;
	if (url?.protocol !== 'ws:' && url?.protocol !== 'wss:')
		throw new InvalidArgumentError('It must be a URL such as ws://127.0.0.1:8081.');
	return [...earlier, url];
}
