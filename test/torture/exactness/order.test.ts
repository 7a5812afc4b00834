// The judgement of exactness, on deliveries that are right, and on deliveries with one fault each.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../support/random.js';
import { Messages, type Shape } from './messages.js';
import { Clock, Order } from './order.js';

type Delivery = { readonly payload: Buffer; readonly isBinary: boolean };

const random = new Random(20);
const messages = new Messages((limit) => random.below(limit), 4_096);
const shapes: readonly Shape[] = [1, 2, 14, 15, 16, 31, 100, 4_096].flatMap((bytes) => [
	{ bytes, isBinary: false },
	{ bytes, isBinary: true },
]);
const newOrder = (index: number) => new Order(index, `/${index}`, messages, new Clock(), false);

/** Publishes messages of two publishers, gives them to the reference as they are, and to another subscriber as the test changes them. */
function deliver(change: (deliveries: Delivery[], other: Delivery[]) => void, { stays = true, all = false } = {}): void {
	const order = newOrder(1);
	const foreign = newOrder(2);
	const reference = order.subscribed('the reference', 0, true);
	const subscriber = order.subscribed('a subscriber', 0, stays);
	const publish = (to: Order) => shapes.map((shape, nth) => ({ payload: to.publish(nth % 2, shape), isBinary: shape.isBinary }));
	const [sent, other] = [[...publish(order), ...publish(order)], publish(foreign)];
	const changed = [...sent];
	change(changed, other);
	for (const { payload, isBinary } of all ? changed : sent) order.take(reference, payload, isBinary);
	for (const { payload, isBinary } of changed) order.take(subscriber, payload, isBinary);
	order.judge();
}

const swap = (deliveries: Delivery[], one: number, two: number) => {
	[deliveries[one], deliveries[two]] = [deliveries[two] as Delivery, deliveries[one] as Delivery];
};

test('deliveries that are right pass', () => {
	deliver(() => {});
	deliver((deliveries) => deliveries.splice(20), { stays: false });
});

test('each text message is whole characters', () => {
	for (let number = 0; number < 1_000; number++) {
		const payload = messages.write(1, 1, number, { bytes: 1 + random.below(4_096), isBinary: false });
		new TextDecoder('utf-8', { fatal: true }).decode(payload);
	}
});

/** The judgement may find a fault where it begins, or where what follows does not fit. */
const fault = /: (corrupt|crossed|lost|an empty message)|in place of|was there before|another shape/;

for (let nth = 0; nth < shapes.length; nth++) {
	const { bytes, isBinary } = shapes[nth] as Shape;
	const about = `of ${bytes} bytes${isBinary ? ' in binary' : ''}`;

	test(`a message ${about} that is lost, for one subscriber or for all, fails`, () => {
		assert.throws(() => deliver((deliveries) => deliveries.splice(nth + 1, 1)), fault);
		assert.throws(() => deliver((deliveries) => deliveries.splice(nth + 1, 1), { all: true }), fault);
	});

	test(`a message ${about} that comes twice, for one subscriber or for all, fails`, () => {
		const double = (deliveries: Delivery[]) => deliveries.splice(nth, 0, deliveries[nth] as Delivery);
		assert.throws(() => deliver(double), fault);
		assert.throws(() => deliver(double, { all: true }), fault);
	});

	test(`a message ${about} that is changed in one byte, or cut, fails`, () => {
		for (const at of new Set([0, bytes >> 1, bytes - 1])) {
			const flip = (deliveries: Delivery[]) => {
				const payload = Buffer.from((deliveries[nth] as Delivery).payload);
				payload[at] = (payload[at] as number) ^ 0x81;
				deliveries[nth] = { payload, isBinary };
			};
			assert.throws(() => deliver(flip), fault);
		}
		const cut = (deliveries: Delivery[]) => {
			deliveries[nth] = { payload: (deliveries[nth] as Delivery).payload.subarray(1), isBinary };
		};
		assert.throws(() => deliver(cut), fault);
	});

	test(`a message ${about} that comes as another type fails`, () => {
		const turn = (deliveries: Delivery[]) => {
			deliveries[nth] = { ...(deliveries[nth] as Delivery), isBinary: !isBinary };
		};
		assert.throws(() => deliver(turn), fault);
	});

	test(`a message ${about} that changes places with the next one, for one subscriber, fails`, () => {
		assert.throws(() => deliver((deliveries) => swap(deliveries, nth, nth + 1)), fault);
	});

	test(`a message ${about} of another channel, in place of one or beside it, fails`, () => {
		const cross = (deleted: number) => (deliveries: Delivery[], other: Delivery[]) =>
			deliveries.splice(nth + 1, deleted, other[nth] as Delivery);
		for (const deleted of [0, 1]) assert.throws(() => deliver(cross(deleted)), fault);
	});

	test(`a message ${about} after a gap, for a subscriber that is cut then, fails`, () => {
		const gap = (deliveries: Delivery[]) => deliveries.splice(nth + 1, 2, ...deliveries.splice(nth + 3).slice(0, 1));
		assert.throws(() => deliver(gap, { stays: false }), fault);
	});
}

test('a subscriber that begins later than it joined, or has what was there before, fails', () => {
	const sent = (order: Order, number: number) => order.publish(0, { bytes: 20 + number, isBinary: false });
	for (const [place, wrong] of [
		[0, /was there before/],
		[1, undefined],
		[2, /lost/],
	] as const) {
		const order = newOrder(1);
		const reference = order.subscribed('the reference', 0, true);
		const before = sent(order, 0);
		order.take(reference, before, false);
		const late = order.subscribed('a subscriber', order.clock.next(), false);
		const payloads = [before, ...[1, 2, 3].map((number) => sent(order, number))];
		for (const payload of payloads.slice(1)) order.take(reference, payload, false);
		for (const payload of payloads.slice(place)) order.take(late, payload, false);
		if (wrong === undefined) order.judge();
		else assert.throws(() => order.judge(), wrong);
	}
});

test('a message that nobody has sent fails', () => {
	const order = newOrder(1);
	const piece = order.subscribed('a subscriber', 0, false);
	assert.throws(() => order.take(piece, order.unsent(), false), /was never sent/);
});
