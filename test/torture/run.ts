// npm run torture: throws everything at the server that docs/torture.md lists, and writes what happened there.
import { availableParallelism } from 'node:os';
import { run } from 'node:test';
import { parseArgs } from 'node:util';
import { loadEngine } from '#src/engine.js';
import { filesOf, isPart, type Part, parts } from './support/parts.js';
import { keepResults, type PartResult } from './support/results.js';
import { type Row, rowMark, slopeMinutesMin } from './support/torture.js';

const usage = 'npm run torture -- [--quick] [--only PART,…] [--seed N] [--minutes N]';

type Settings = {
	readonly isQuick: boolean;
	readonly only: readonly Part[];
	readonly seed: number;
	readonly minutes: number;
};

/** Exits with one line if an argument is wrong. */
function readSettings(): Settings {
	try {
		const { values } = parseArgs({
			options: {
				quick: { type: 'boolean', default: false },
				only: { type: 'string', default: parts.join(',') },
				seed: { type: 'string' },
				minutes: { type: 'string' },
			},
		});
		const only = values.only.split(',');
		const unknown = only.find((name) => !isPart(name));
		if (unknown !== undefined) throw new Error(`--only: there is no part "${unknown}"; the parts are ${parts.join(', ')}`);
		const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 32));
		if (!Number.isInteger(seed) || seed < 0) throw new Error(`--seed: "${values.seed}" is no whole number`);
		const minutes = Number(values.minutes ?? (values.quick ? 0.5 : 30));
		if (!(minutes > 0)) throw new Error(`--minutes: "${values.minutes}" is no number above 0`);
		return { isQuick: values.quick, only: only.filter(isPart), seed, minutes };
	} catch (error) {
		process.stderr.write(`torture: ${(error as Error).message}\n${usage}\n`);
		process.exit(1);
	}
}

const { isQuick, only, seed, minutes } = readSettings();
const engine = loadEngine().version.split('.').slice(0, 2).join('.');
// The tests are processes of their own.
process.env.TEST_SEED = String(seed);
if (isQuick) process.env.TORTURE_QUICK = '1';
process.env.TORTURE_MINUTES = String(minutes);
process.stdout.write(`seed ${seed}, engine ${engine}, Node ${process.versions.node}\n`);

const results: Partial<Record<Part, PartResult>> = {};
let failures = 0;
let skips = 0;
for (const part of only) {
	const result = await runPart(part);
	results[part] = result;
	const failed = result.rows.filter(({ happened }) => happened === undefined).length;
	process.stdout.write(`${part}: ${result.rows.length - failed} of ${result.rows.length} as promised, in ${result.seconds} s\n`);
}
if (failures > 0) process.stderr.write(`torture: ${failures} tests failed; --seed ${seed} runs them again\n`);
// Only a whole run is kept: not the short form, no run with skipped rows, no short soak, no single input.
else if (!isQuick && skips === 0 && minutes >= slopeMinutesMin && process.env.TORTURE_INPUT === undefined)
	keepResults(engine, results);
else process.stdout.write('docs/torture.md is unchanged: it takes whole runs only.\n');
process.exit(failures > 0 ? 1 : 0);

/** Runs the tests of a part, one or two files at once, and tells each failure when it comes. */
async function runPart(part: Part): Promise<PartResult> {
	const startMs = performance.now();
	const rows: Row[] = [];
	// Faults and exactness wait for time-outs and load both processors: their files run one by one.
	const concurrency = part === 'faults' || part === 'exactness' ? 1 : 2;
	// A file that takes longer hangs.
	const patienceMs = isQuick ? 300_000 : 1_800_000;
	const timeout = patienceMs + (part === 'soak' ? minutes * 60_000 : 0);
	for await (const { type, data } of run({ files: filesOf(part), concurrency, timeout })) {
		if (type === 'test:diagnostic' && data.message.startsWith(rowMark)) {
			const row: Row = JSON.parse(data.message.slice(rowMark.length));
			rows.push(row);
			process.stdout.write(`${part}: ${row.thrown}\n\t${row.happened ?? 'FAILED'}\n`);
		}
		if (type === 'test:pass' && data.skip) {
			skips++;
			process.stdout.write(`${part}: skipped, ${data.name}: ${data.skip}\n`);
		}
		if (type === 'test:fail') {
			failures++;
			const { cause, message } = data.details.error;
			process.stderr.write(`${part}: FAILED, ${data.name}\n${(cause as Error | undefined)?.stack ?? message}\n`);
		}
	}
	return {
		seed,
		machine: `Node ${process.versions.node}, ${process.platform} ${process.arch}, ${availableParallelism()} processors`,
		date: new Date().toISOString().slice(0, 10),
		seconds: Math.round((performance.now() - startMs) / 1_000),
		rows,
	};
}
