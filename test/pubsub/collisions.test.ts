// Names that clients choose so that they collide in the engine's table of topics: its hash is public, and has a fixed seed.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RawConnection } from '../support/http.js';
import { seededRandom } from '../support/random.js';
import { startTestServer } from '../support/server.js';
import { subscribeMany } from '../support/subscriber.js';

const mask = (1n << 64n) - 1n;
const factor = 0xc6a4a7935bd1e995n;
const seed = 0xc70f6907n;
const unit = (random: () => number) => Buffer.from(Array.from({ length: 8 }, () => 0x61 + Math.floor(random() * 26)));

/** libstdc++'s std::hash of strings is MurmurHash64A: each eight bytes are mixed, then taken into the state. */
function mixed(block: Buffer): bigint {
	const k = (block.readBigUInt64LE() * factor) & mask;
	return ((k ^ (k >> 47n)) * factor) & mask;
}

/** The eight bytes that are mixed to this. */
function unmixed(value: bigint): Buffer {
	const k = (value * inverse) & mask;
	const block = Buffer.alloc(8);
	block.writeBigUInt64LE(((k ^ (k >> 47n)) * inverse) & mask);
	return block;
}

let inverse = 1n;
for (let i = 0; i < 6; i++) inverse = (inverse * (2n - factor * inverse)) & mask;

/** Names of one hash: for each place two pairs of blocks that lead from one state to the same one. */
function collidingNames(count: number, random: () => number): string[] {
	const places = Math.ceil(Math.log2(count));
	// The path begins with a slash, and all names are as long.
	const first = Buffer.from('/room--/');
	const length = BigInt(8 + 16 * places);
	let state = seed ^ ((length * factor) & mask);
	const take = (from: bigint, block: Buffer) => ((from ^ mixed(block)) * factor) & mask;
	state = take(state, first);
	const pairs: [string, string][] = [];
	for (let place = 0; place < places; place++) {
		const [a, b] = [unit(random), unit(random)];
		const afterA = take(state, a);
		for (;;) {
			const c = unit(random);
			const d = unmixed(mixed(b) ^ afterA ^ take(state, c));
			if (c.equals(a) || !/^[A-Za-z0-9!$&'()*+,;=:@._~-]{8}$/.test(d.toString('latin1'))) continue;
			pairs.push([`${a}${b}`, `${c}${d}`]);
			break;
		}
		state = take(take(state, a), b);
	}
	return Array.from({ length: count }, (_, i) => `${first}${pairs.map((pair, place) => pair[(i >> place) & 1]).join('')}`);
}

test('channels whose names collide cost no more than others', async (t) => {
	const random = seededRandom(t);
	const count = 3_000;
	const next = () => random.below(2 ** 30) / 2 ** 30;
	const colliding = collidingNames(count, next);
	assert.equal(new Set(colliding).size, count);
	const longest = (colliding[0] ?? '').length;
	const others = Array.from({ length: count }, () =>
		`/${Buffer.concat(Array.from({ length: longest / 8 }, () => unit(next)))}`.slice(0, longest),
	);
	const server = await startTestServer(t, '--log-level', 'info');
	const times: number[] = [];
	for (const names of [others, colliding]) {
		const subscribers = await subscribeMany(t, count, (i) => server.ws(names[i] ?? ''));
		const connection = new RawConnection(server.port);
		const startMs = performance.now();
		for (let i = 0; i < count; i += 100) {
			const some = names.slice(i, i + 100);
			await connection.write(some.map((name) => `POST ${name} HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx`).join(''));
			for (const _ of some) assert.equal((await connection.answer()).headers.get('x-subscribers'), '1');
		}
		times.push(performance.now() - startMs);
		connection.end();
		for (const { ws } of subscribers) ws.terminate();
	}
	const [ordinary = 0, attack = 0] = times;
	t.diagnostic(`a publish on each of ${count}: ${ordinary.toFixed(0)} ms, colliding ${attack.toFixed(0)} ms`);
	assert.ok(attack < 2 * ordinary, `${attack} ms against ${ordinary} ms`);
});
