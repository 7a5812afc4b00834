// Rounds in, medians, spreads, ratios and words out.
import type { Measurement } from './load/job.js';
import type { Scenario } from './scenarios.js';

/** One round of one peer; a run that failed has only the reason. */
export type Round = Measurement | { readonly failed: string };

/** All the rounds of one peer in one scenario, or why there are none. */
export type PeerRounds = { readonly peer: string; readonly rounds: readonly Round[]; readonly missing?: string };

export type Spread = { readonly median: number; readonly min: number; readonly max: number };

export type Row = {
	readonly peer: string;
	/** What decides, as the scenario says: work per CPU-second, milliseconds or bytes. */
	readonly value?: Spread;
	/** How much better pathcast is, round by round; above 1 it is ahead. Where channels are shared over a Redis, it is pathcast --relay. Of a bare engine of the older build: how much better pathcast on it is. */
	readonly pathcastRatio?: Spread;
	readonly perSecond?: Spread;
	readonly serverCpuShare?: Spread;
	readonly loadCpuShare?: Spread;
	/** Of the Redis that connects the nodes: its CPU time as a share of the wall-clock time. */
	readonly relayCpuShare?: Spread;
	/** What decides, with the CPU time or the memory of that Redis. */
	readonly withRelay?: Spread;
	readonly p50?: Spread;
	readonly p99?: Spread;
	readonly p999?: Spread;
	/** Why a round failed, or why there is none. A peer with a failed round has no value. */
	readonly failed?: string;
	readonly missing?: string;
};

/** Above this share of its processor the load process, not the server, sets the wall-clock figures. */
export const loadCpuShareMax = 0.9;

export function spread(values: readonly number[]): Spread | undefined {
	const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
	if (sorted.length === 0) return undefined;
	const middle = sorted.length >> 1;
	const upper = sorted[middle] as number;
	const median = sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] as number) + upper) / 2;
	return { median, min: sorted[0] as number, max: sorted.at(-1) as number };
}

export function rowsOf(scenario: Scenario, results: readonly PeerRounds[]): Row[] {
	const roundsOf = (name: string) => {
		const own = results.find(({ peer }) => peer === name)?.rounds ?? [];
		// Nothing to compare with if it failed once.
		return own.some(isFailed) ? [] : own;
	};
	const pathcast = roundsOf(baseOf(scenario));
	const pathcastOlder = roundsOf('pathcast (older engine)');
	return results.map(({ peer, rounds, missing }) => {
		if (missing !== undefined) return { peer, missing };
		const failures = rounds.filter(isFailed);
		const [failure] = failures;
		if (failure !== undefined) return { peer, failed: `${failure.failed} (${failures.length} of ${rounds.length} rounds)` };
		const good = rounds as readonly Measurement[];
		const own = ceilingKind(peer) === 'older' ? pathcastOlder : pathcast;
		const ratios = good.map((round, index) => ratio(scenario, own[index], round));
		return {
			peer,
			...spreads({
				value: good.map((round) => value(scenario, round)),
				pathcastRatio: peer === baseOf(scenario) ? [] : ratios,
				perSecond: good.map(({ amount, wallSeconds, openedPerSecond }) =>
					scenario.decides === 'memory' ? (openedPerSecond ?? Number.NaN) : amount / wallSeconds,
				),
				serverCpuShare: good.map(({ serverCpuSeconds, wallSeconds }) => known(serverCpuSeconds) / wallSeconds),
				loadCpuShare: good.map(({ loadCpuShare }) => loadCpuShare),
				relayCpuShare: good.map(({ relayCpuSeconds = Number.NaN, wallSeconds }) => relayCpuSeconds / wallSeconds),
				withRelay: good.map((round) => withRelay(scenario, round)),
				p50: good.map(({ latency }) => latency?.p50 ?? Number.NaN),
				p99: good.map(({ latency }) => latency?.p99 ?? Number.NaN),
				p999: good.map(({ latency }) => latency?.p999 ?? Number.NaN),
			}),
		};
	});
}

type Spreads = Omit<Row, 'peer' | 'failed' | 'missing'>;

function spreads(values: Record<keyof Spreads, number[]>): Spreads {
	const found = Object.entries(values).map(([key, list]) => [key, spread(list)] as const);
	return Object.fromEntries(found.filter(([, value]) => value !== undefined));
}

function isFailed(round: Round): round is { readonly failed: string } {
	return 'failed' in round;
}

function value({ decides }: Scenario, { amount, serverCpuSeconds, latency }: Measurement): number {
	if (decides === 'memory') return known(amount);
	if (decides === 'p99') return latency?.p99 ?? Number.NaN;
	return amount / known(serverCpuSeconds);
}

function withRelay({ decides }: Scenario, round: Measurement): number {
	const { amount, serverCpuSeconds, relayCpuSeconds = Number.NaN, relayBytes = Number.NaN } = round;
	if (decides === 'memory') return amount + relayBytes;
	return decides === 'cpu' ? amount / (known(serverCpuSeconds) + relayCpuSeconds) : Number.NaN;
}

/** Whom the others are compared with. */
const baseOf = ({ isRelayed }: Scenario): string => (isRelayed ? 'pathcast --relay' : 'pathcast');

/** 0 is what is told of processes that cannot be seen. */
function known(figure: number): number {
	return figure === 0 ? Number.NaN : figure;
}

/** Of the same round, minutes apart at most: the machine drifts. */
function ratio(scenario: Scenario, ours: Round | undefined, theirs: Measurement): number {
	if (ours === undefined || isFailed(ours)) return Number.NaN;
	const own = value(scenario, ours);
	const other = value(scenario, theirs);
	return scenario.decides === 'cpu' ? own / other : other / own;
}

export const unitOf = ({ decides, unit }: Scenario): string =>
	decides === 'cpu' ? `${unit} per CPU-second` : decides === 'p99' ? 'p99 in ms' : unit;

/** A table for a terminal: one line a peer, the best first, those without a value last. */
export function table(scenario: Scenario, rows: readonly Row[]): string {
	const head = [
		'',
		unitOf(scenario),
		'(min to max)',
		'pathcast is',
		'per second',
		'server',
		'load',
		...(hasRelay(rows) ? ['Redis', 'with Redis'] : []),
		'p50 ms',
		'p99 ms',
		'p99.9 ms',
	];
	const lines = ranked(scenario, rows).map((row) =>
		row.failed || row.missing ? [row.peer, reason(row)] : cells(row, hasRelay(rows)),
	);
	const columns = [head, ...lines.filter(({ length }) => length === head.length)];
	const widths = head.map((_, column) => Math.max(...columns.map((line) => line[column]?.length ?? 0)));
	const nameWidth = Math.max(...rows.map(({ peer }) => peer.length));
	return [head, ...lines]
		.map(([name = '', ...rest]) => {
			const padded = rest.length === 1 ? rest : rest.map((cell, column) => cell.padStart(widths[column + 1] ?? 0));
			return `  ${[name.padEnd(nameWidth), ...padded].join('  ')}`.trimEnd();
		})
		.join('\n');
}

function hasRelay(rows: readonly Row[]): boolean {
	return rows.some(({ relayCpuShare }) => relayCpuShare !== undefined);
}

function cells(row: Row, hasRelay: boolean): string[] {
	const { value, pathcastRatio, perSecond, loadCpuShare } = row;
	const isLoadBound = (loadCpuShare?.max ?? 0) > loadCpuShareMax;
	return [
		row.peer,
		// None for the CPU of another machine.
		value ? figure(value.median) : '?',
		value ? `${figure(value.min)} to ${figure(value.max)}` : '',
		pathcastRatio ? `${times(pathcastRatio.median)} (${pathcastRatio.min.toFixed(2)} to ${pathcastRatio.max.toFixed(2)})` : '',
		perSecond ? figure(perSecond.median) : '',
		percent(row.serverCpuShare),
		`${percent(loadCpuShare)}${isLoadBound ? ' !' : ''}`,
		...(hasRelay ? [percent(row.relayCpuShare), row.withRelay ? figure(row.withRelay.median) : ''] : []),
		...[row.p50, row.p99, row.p999].map((latency) => (latency ? latency.median.toFixed(2) : '')),
	];
}

function reason({ failed, missing }: Row): string {
	return missing ?? `FAILED: ${failed}`;
}

const times = (ratio: number) => `${ratio.toFixed(2)} x`;

/** One sentence on who wins. A ratio whose rounds lie on both sides of 1 is level. */
export function verdict(scenario: Scenario, rows: readonly Row[]): string {
	const base = baseOf(scenario);
	const pathcast = rows.find(({ peer }) => peer === base);
	if (pathcast === undefined) return `${base} was not measured.`;
	if (pathcast.value === undefined) return `${base} FAILED: ${pathcast.failed ?? pathcast.missing}`;
	const [rival] = ranked(
		scenario,
		rows.filter((row) => !isPathcast(row) && !isBare(row)),
	);
	const ceilings = ceilingKinds.map((kind) => ceiling(scenario, rows, kind)).join('');
	const ratio = rival?.pathcastRatio;
	if (rival === undefined || ratio === undefined) return `No other peer finished.${ceilings}`;
	const words = ratio.min > 1 ? `${base} leads` : ratio.max < 1 ? `${rival.peer} LEADS` : `${base} and ${rival.peer} are level`;
	return `${words}: ${base} is ${times(ratio.median)} the best other peer (${rival.peer}).${ceilings}`;
}

const ceilingKinds = ['plain', 'checked', 'older'] as const;
type CeilingKind = (typeof ceilingKinds)[number];
const ceilingWords = {
	plain: 'Against the bare engine',
	checked: 'Against the bare engine with the same checks',
	older: 'The older engine, pathcast on it against the bare one',
};

function ceiling(scenario: Scenario, rows: readonly Row[], kind: CeilingKind): string {
	const bare = rows.filter(({ peer }) => ceilingKind(peer) === kind);
	const best = ranked(scenario, bare)[0]?.pathcastRatio;
	return best === undefined ? '' : ` ${ceilingWords[kind]}: ${times(best.median)}.`;
}

function ceilingKind(peer: string): CeilingKind | undefined {
	if (!isBare({ peer })) return undefined;
	if (peer.endsWith(' (older engine)')) return 'older';
	return peer.endsWith(' checked') ? 'checked' : 'plain';
}

/** The name says it: the ceilings are no rivals. */
export function isBare({ peer }: { readonly peer: string }): boolean {
	return peer.startsWith('engine');
}

/** On either engine, with a hook, and with several channels on a websocket. */
export function isPathcast({ peer }: { readonly peer: string }): boolean {
	return peer.startsWith('pathcast') && !peer.endsWith(' before');
}

export function ranked(scenario: Scenario, rows: readonly Row[]): Row[] {
	const worst = scenario.decides === 'cpu' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
	const key = ({ value }: Row) => value?.median ?? worst;
	const order = scenario.decides === 'cpu' ? -1 : 1;
	return [...rows].sort((a, b) => order * (key(a) - key(b)) || 0);
}

/** Every scenario against every peer: how much better pathcast is. */
export function matrix(all: readonly { readonly scenario: Scenario; readonly rows: readonly Row[] }[]): string {
	const others = all.flatMap(({ scenario, rows }) => rows.filter(({ peer }) => peer !== baseOf(scenario)));
	const names = [...new Set(others.map(({ peer }) => peer))];
	const lines = all.map(({ scenario, rows }) => {
		const own = rows.find(({ peer }) => peer === baseOf(scenario));
		const cells = names.map((name) => {
			const row = rows.find(({ peer }) => peer === name);
			if (row?.failed) return 'failed';
			return row?.pathcastRatio ? row.pathcastRatio.median.toFixed(2) : '-';
		});
		return [own?.failed ? `${scenario.id}: pathcast FAILED` : scenario.id, ...cells];
	});
	const head = ['pathcast is … times', ...names];
	return [head, head.map(() => '---'), ...lines].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

/** How one scenario of pathcast's compares with another: what crowds and neighbours cost. Taken minutes apart, so not to the percent. */
export function comparisons(all: readonly { readonly scenario: Scenario; readonly rows: readonly Row[] }[]): string[] {
	const ownOf = (id: string) =>
		all.find(({ scenario }) => scenario.id === id)?.rows.find(({ peer }) => peer === 'pathcast')?.value?.median;
	const compared = (text: string, above: number | undefined, below: number | undefined) =>
		above === undefined || below === undefined ? [] : [`${text}: ${times(above / below)}`];
	const quiet = ownOf('neighbour-quiet');
	const ofGroups = all.flatMap(({ scenario, rows }) => {
		const ratio = rows.find(({ peer }) => peer === 'pathcast --groups')?.pathcastRatio?.median;
		return compared(
			`Deliveries per CPU-second of ${scenario.id} over one websocket for all channels are, against one for each`,
			1,
			ratio,
		);
	});
	return [
		...compared(
			'A delivery to 10,000 subscribers costs, against one to 100, in bursts',
			ownOf('burst-100'),
			ownOf('burst-10000'),
		),
		...compared('and one at a time', ownOf('single-100'), ownOf('single-10000')),
		...compared(
			"The p99 beside another channel's bursts to 100 subscribers is, against the quiet one",
			ownOf('neighbour-loud'),
			quiet,
		),
		...compared('and to 1,000', ownOf('neighbour-crowd'), quiet),
		...compared('The p99 of those who read is, beside 100 who have stopped', ownOf('stalled-100'), ownOf('stalled-0')),
		...compared('and of 1,500 when 500 of 2,000 have stopped, against all 2,000', ownOf('crowd-500'), ownOf('crowd-0')),
		...ofGroups,
	];
}

/** Three digits, with K or M. */
export function figure(value: number): string {
	if (value >= 999_500) return `${(value / 1e6).toPrecision(3)}M`;
	if (value >= 10_000) return `${(value / 1e3).toPrecision(3)}K`;
	return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

function percent(share: Spread | undefined): string {
	return share ? `${(100 * share.median).toFixed(0)} %` : '';
}
