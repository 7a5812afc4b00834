import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Places } from '#src/pubsub/places.js';
import { seededRandom } from '../support/random.js';

type Item = { readonly name: string; place: number };

function add(places: Places<Item>, name: string): Item {
	const item = { name, place: 0 };
	item.place = places.add(item);
	return item;
}

test('a visit looks at no more places than it may, and stops when it has enough', () => {
	const places = new Places<Item>();
	const items = Array.from({ length: 10 }, (_, i) => add(places, String(i)));
	for (const item of items.slice(0, 6)) places.remove(item.place);
	const seen: string[] = [];
	const see = ({ name }: Item) => (seen.push(name) === 2 ? 'enough' : 'more');
	assert.equal(places.visit(0, 4, see), 4);
	assert.deepEqual(seen, [], 'holes count too');
	assert.equal(places.visit(4, 100, see), 8);
	assert.deepEqual(seen, ['6', '7']);
	assert.equal(places.visit(8, 100, see), undefined);
	assert.equal(places.visit(10, 100, see), undefined);
	assert.equal(places.visit(1_000_000_000, 100, see), undefined);
	assert.deepEqual(seen, ['6', '7', '8', '9']);
});

test('an item that is there throughout a listing is seen exactly once, whatever comes and goes meanwhile', (t) => {
	const random = seededRandom(t);
	for (let round = 0; round < 50; round++) {
		const places = new Places<Item>();
		const items = Array.from({ length: random.below(300) }, (_, i) => add(places, `old ${i}`));
		const throughout = new Set(items.filter(() => random.below(2) === 0));
		const fleeting = items.filter((item) => !throughout.has(item));
		const seen: Item[] = [];
		let next: number | undefined = 0;
		while (next !== undefined) {
			next = places.visit(next, 1 + random.below(20), (item) => (seen.push(item) % 7 === 0 ? 'enough' : 'more'));
			for (let i = random.below(20); i > 0; i--) {
				const gone = fleeting.splice(random.below(fleeting.length + 1), 1)[0];
				if (gone !== undefined) places.remove(gone.place);
				if (random.below(3) > 0) fleeting.push(add(places, 'new'));
			}
		}
		const kept = seen.filter((item) => throughout.has(item));
		assert.equal(kept.length, throughout.size, `round ${round}`);
		assert.deepEqual(new Set(kept), throughout, `round ${round}`);
	}
});

test('freed places are used again, and given back when nothing is left', () => {
	const places = new Places<Item>();
	const [first, second] = [add(places, 'first'), add(places, 'second')];
	for (let i = 0; i < 1_000; i++) {
		const item = add(places, String(i));
		assert.ok(item.place < 3);
		places.remove(item.place);
	}
	places.remove(first.place);
	places.remove(second.place);
	assert.equal(
		places.visit(0, 1, () => 'more'),
		undefined,
	);
	assert.equal(add(places, 'again').place, 0);
});
