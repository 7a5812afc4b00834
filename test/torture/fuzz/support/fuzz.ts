// Throws inputs at a server, batch after batch, and says how deep they got. A failure names the input that makes it alone.
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import type { TestContext } from 'node:test';
import type { Memory } from '../../../support/process.js';
import { seededRandom } from '../../../support/random.js';
import { lineThrough } from '../../support/line.js';
import { inForm } from '../../support/torture.js';
import { described, type Input, inputOf, type Kind } from './input.js';
import { isAnswered, type Played, play } from './play.js';
import { type Figures, type Setting, Target } from './target.js';

const usualBatches = 12;
const usualInputs = 6_000;
// In the first half of the batches the server sees every kind of input. In the second half its memory must not grow with the inputs.
// Each measurement adds some memory too, because code that the collector has dropped is compiled again. So the same number of
// measurements follows without inputs, and their slope is subtracted. The rest must be zero, within three standard errors and `noiseBytes`:
// the pages that V8 and malloc may keep.
const measured = usualBatches / 2;
const noiseBytes = { heapUsed: 524_288, native: 8_388_608 };

/** The promise of every row. */
export const promised = 'The server goes on, gives back what it took, and its other clients get every message and nothing else.';

export type Aim = {
	readonly setting?: Setting;
	readonly kind: Kind;
	/** Plays an input in another way. */
	readonly play?: (socket: Socket, input: Input) => Promise<Played>;
	readonly connect?: (target: Target) => Socket;
	readonly clientsAtOnce?: number;
	/** Fewer than usual, where the server takes long to give back what it took. Too few to judge its memory. */
	readonly batches?: number;
	/** How many in the whole form: more than usual, where V8 goes on compiling code of the server for thousands of them. */
	readonly inputs?: number;
};

type Counts = { inputs: number; changed: number; waited: number; answered: number };

/** Plays all inputs of a seed, or the one that TORTURE_INPUT names. Gives what was seen, as a row tells it. */
export async function fuzz(t: TestContext, aim: Aim): Promise<string> {
	const seed = seededRandom(t).below(2 ** 32);
	const { TORTURE_INPUT: only } = process.env;
	if (only !== undefined) return playAlone(t, aim, inputOf(seed, Number(only), aim.kind));
	const { batches = usualBatches } = aim;
	const size = Math.ceil(inForm(480, aim.inputs ?? usualInputs) / batches);
	const target = await Target.start(t, aim.setting ?? {});
	const counts = { inputs: 0, changed: 0, waited: 0, answered: 0 };
	const memory: Memory[] = [];
	const before = await target.settle([]);
	let after = before;
	for (let batch = 0; batch < batches; batch++) {
		const inputs = Array.from({ length: size }, (_, i) => inputOf(seed, batch * size + i, aim.kind));
		try {
			after = await playBatch(target, aim, inputs, counts);
		} catch (error) {
			await findCulprit(t, aim, inputs, error as Error);
		}
		memory.push(await target.memory());
	}
	if (batches < usualBatches) return depth(counts, before, after);
	const idle: Memory[] = [];
	for (let i = 0; i < measured; i++) {
		await target.settle([]);
		idle.push(await target.memory());
	}
	return `${depth(counts, before, after)}; ${level(t, memory.slice(-measured), idle, size)}`;
}

async function playBatch(target: Target, aim: Aim, inputs: readonly Input[], counts: Counts): Promise<Figures> {
	const waiting = [...inputs];
	const client = async () => {
		for (let input = waiting.shift(); input !== undefined; input = waiting.shift()) {
			target.count();
			const socket = aim.connect?.(target) ?? target.connect();
			const played = await (aim.play ?? play)(socket, input);
			counts.inputs++;
			if (input.mutations > 0) counts.changed++;
			if (input.ending !== 'answer') continue;
			counts.waited++;
			if (isAnswered(played)) counts.answered++;
		}
	};
	await Promise.all(Array.from({ length: aim.clientsAtOnce ?? 32 }, client));
	return target.settle(inputs.map(({ promised }) => promised));
}

async function playAlone(t: TestContext, aim: Aim, input: Input): Promise<string> {
	t.diagnostic(described(input));
	const target = await Target.start(t, aim.setting ?? {});
	const counts = { inputs: 0, changed: 0, waited: 0, answered: 0 };
	const before = await target.settle([]);
	return depth(counts, before, await playBatch(target, aim, [input], counts));
}

/** Plays each input of a batch alone, and throws an error that has the first at which the server fails. */
async function findCulprit(t: TestContext, aim: Aim, inputs: readonly Input[], cause: Error): Promise<never> {
	const counts = { inputs: 0, changed: 0, waited: 0, answered: 0 };
	const target = await Target.start(t, aim.setting ?? {});
	for (const input of inputs) {
		try {
			await playBatch(target, aim, [input], counts);
		} catch (error) {
			throw new Error(`TORTURE_INPUT=${input.n} runs this again: ${(error as Error).message}\n${described(input)}`, { cause });
		}
	}
	throw new Error(`no input alone does it, but those from ${inputs[0]?.n} to ${inputs.at(-1)?.n} together: ${cause.message}`, {
		cause,
	});
}

/** How far the inputs got. The server's metrics tell what it opened, published and refused. */
function depth({ inputs, changed, waited, answered }: Counts, before: Figures, after: Figures): string {
	const more = (name: keyof Figures) => figure(after[name] - before[name]);
	return (
		`${figure(inputs)} inputs, ${figure(changed)} of them changed: ${percent(answered, waited)} of the clients that waited had an answer, ` +
		`${more('opened')} subscribed, ${more('published')} messages were published, ${more('refused')} requests refused`
	);
}

function percent(part: number, whole: number): string {
	return `${whole === 0 ? 0 : Math.round((100 * part) / whole)} %`;
}

function figure(count: number): string {
	return count.toLocaleString('en');
}

/** Fails if the memory grows with the inputs. Gives by how much it did. */
function level(t: TestContext, busy: readonly Memory[], idle: readonly Memory[], size: number): string {
	const grown = (['heapUsed', 'native'] as const).map((kind) => {
		const [values, others] = [busy, idle].map((all) => all.map((one) => one[kind])) as [number[], number[]];
		t.diagnostic(`${kind} after each ${size} inputs: ${values.join(', ')}; then without inputs: ${others.join(', ')}`);
		const [line, other] = [lineOver(values), lineOver(others)];
		// A negative slope is memory that malloc gives back. It has nothing to do with the inputs.
		const growth = (line.slope - Math.max(0, other.slope)) * (measured - 1);
		const error = Math.hypot(line.error, other.error) * (measured - 1);
		assert.ok(growth - 3 * error < noiseBytes[kind], `${kind} memory grew by ${growth} ± ${error} bytes: ${values.join(', ')}`);
		return `${kind === 'heapUsed' ? 'heap' : 'outside it'} ${kilobytes(growth)} ± ${kilobytes(error)} KB`;
	});
	return `memory over the last ${figure(size * (measured - 1))}: ${grown.join(', ')}`;
}

/** The line through values that are measured at equal distances. */
function lineOver(values: readonly number[]): ReturnType<typeof lineThrough> {
	return lineThrough(values.map((y, x) => ({ x, y })));
}

function kilobytes(bytes: number): string {
	return figure(Math.round(bytes / 1_000));
}
