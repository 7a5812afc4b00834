// RFC 9112 and RFC 9110: each input of the tables goes to the server directly, and through nginx and HAProxy.
import assert from 'node:assert/strict';
import { request } from '../../support/http.js';
import { torture } from '../support/torture.js';
import { type Came, exchange } from './http-exchange.js';
import { type HttpRow, outcomeOf } from './http-rows.js';
import { httpTables } from './http-tables.js';
import { verdict } from './http-verdict.js';
import { startWays, thisFile, type Way, type WayName } from './ways.js';

type Results = ReadonlyMap<HttpRow, Promise<ReadonlyMap<WayName, readonly Came[]>>>;

/** Tries all rows: those that wait for a time-out all at once, the others meanwhile, one after another. */
async function tryAll(): Promise<{ readonly untried: string; readonly results: Results }> {
	const { ways, port, untried } = await startWays(thisFile);
	const { headers } = await request(port, { path: '/' });
	const etag = String(headers.get('etag'));
	let rooms = 0;
	const tryInput = (way: Way, row: HttpRow, nth: number) => {
		const room = `/r${String(rooms++).padStart(5, '0')}`;
		const pieces = [row.inputs[nth]?.(room) ?? []].flat().map((piece) => piece.replaceAll('<etag>', etag));
		const channel = row.channels?.[nth]?.(room) ?? room;
		return exchange(thisFile, port, { way, channel, pieces, row, expected: outcomeOf(row, way.name, nth) ?? '' });
	};
	const tryRow = async (row: HttpRow) => {
		const tried = ways.filter(({ name }) => row.came[name] !== undefined);
		const came = tried.map(async (way) => {
			const nths = row.inputs.map((_, nth) => nth);
			if (waits(row)) return [way.name, await Promise.all(nths.map((nth) => tryInput(way, row, nth)))] as const;
			const each: Came[] = [];
			for (const nth of nths) each.push(await tryInput(way, row, nth));
			return [way.name, each] as const;
		});
		return new Map(await Promise.all(came));
	};
	let previous: Promise<unknown> = Promise.resolve();
	const results = httpTables.map((row) => {
		const result = waits(row) ? tryRow(row) : previous.then(() => tryRow(row));
		// The row itself tells of a failure.
		const settled = result.catch(() => {});
		if (!waits(row)) previous = settled;
		return [row, result] as const;
	});
	return { untried, results: new Map(results) };
}

function waits(row: HttpRow): boolean {
	return (['direct', 'nginx', 'HAProxy'] as const).some((way) =>
		row.inputs.some((_, nth) => /timed out|408|50[24]/.test(outcomeOf(row, way, nth) ?? '')),
	);
}

let trying: ReturnType<typeof tryAll> | undefined;
for (const row of httpTables) {
	torture(
		row,
		async () => {
			trying ??= tryAll();
			const { untried, results } = await trying;
			const came = await results.get(row);
			assert.ok(came);
			return `${verdict(row, came)}${untried}`;
		},
		{ timeout: 120_000 },
	);
}

torture(
	{
		section: 'RFC 9112 4',
		thrown: 'all these inputs, over each way',
		promised: 'Each answer is well-formed: its status line, its fields, its length, its chunks.',
	},
	async () => {
		trying ??= tryAll();
		const { results } = await trying;
		const all = (await Promise.all(results.values())).flatMap((came) => [...came]);
		const flawed = new Set(all.filter(([, each]) => each.some(({ flaw }) => flaw !== undefined)).map(([way]) => way));
		assert.ok(!flawed.has('direct') && !flawed.has('nginx'));
		const each = all.flatMap(([, each]) => each);
		const answers = each.flatMap(({ answers }) => answers).length;
		const flaws = each.filter(({ flaw }) => flaw !== undefined).length;
		const of = flaws === 0 ? 'all of them are well-formed' : `all but ${flaws} of HAProxy itself are well-formed`;
		return `${answers} answers came to ${each.length} inputs: ${of}.`;
	},
);
