// Throws inputs at a server, batch after batch, and says how deep they got. A failure names the input that makes it alone.
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { seededRandom } from '../../../support/random.js';
import { inForm } from '../../support/torture.js';
import { described, type Input, inputOf, type Kind } from './input.js';
import { slopeOf } from './line.js';
import { isAnswered, type Played, play } from './play.js';
import { type Figures, type Setting, Target } from './target.js';

const batches = 12;
const clientsAtOnce = 32;
// The memory after the first half of the batches is that of a server which has seen every kind of input. From then on it is level: a line
// through it rises by no more than its error and these, which are what pages and compiled code come to by themselves.
const noiseBytes = { heap: 524_288, resident: 3_145_728 };

export type Aim = {
	readonly setting?: Setting;
	readonly kind: Kind;
	/** How many inputs there are, in each form. */
	readonly quick: number;
	readonly whole: number;
	/** Plays an input in another way. */
	readonly play?: (socket: Socket, input: Input) => Promise<Played>;
	readonly connect?: (target: Target) => Socket;
};

type Counts = { inputs: number; changed: number; waited: number; answered: number };

/** Plays all inputs of a seed, or the one that TORTURE_INPUT names. Gives what was seen, as a row tells it. */
export async function fuzz(t: TestContext, aim: Aim): Promise<string> {
	const seed = seededRandom(t).below(2 ** 32);
	const { TORTURE_INPUT: only } = process.env;
	if (only !== undefined) return playAlone(t, aim, inputOf(seed, Number(only), aim.kind));
	const size = Math.ceil(inForm(aim.quick, aim.whole) / batches);
	const target = await Target.start(t, aim.setting ?? {});
	const counts = { inputs: 0, changed: 0, waited: 0, answered: 0 };
	const memory: { heap: number; resident: number }[] = [];
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
	return `${depth(counts, before, after)}; ${level(t, memory.slice(batches / 2), size)}`;
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
	await Promise.all(Array.from({ length: clientsAtOnce }, client));
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

/** Fails if the memory grows. Gives by how much it did over these batches. */
function level(t: TestContext, memory: readonly { heap: number; resident: number }[], size: number): string {
	const grown = (['heap', 'resident'] as const).map((kind) => {
		const values = memory.map((one) => one[kind]);
		t.diagnostic(`${kind} after each ${size} inputs: ${values.join(', ')}`);
		const { slope, error } = slopeOf(values);
		const [growth, doubt] = [slope, error].map((bytes) => bytes * (values.length - 1)) as [number, number];
		assert.ok(growth - 3 * doubt < noiseBytes[kind], `${kind} memory grew by ${growth} ± ${doubt} bytes: ${values.join(', ')}`);
		return `${kind} ${kilobytes(growth)} ± ${kilobytes(doubt)} KB`;
	});
	return `over the last ${figure(size * (memory.length - 1))}, memory grew by ${grown.join(', ')}`;
}

function kilobytes(bytes: number): string {
	return figure(Math.round(bytes / 1_000));
}
