import assert from 'node:assert/strict';
import { test } from 'node:test';
import { slotOf } from '#src/relay/cluster.js';
import { freePort } from '../support/free-port.js';
import { seededRandom } from '../support/random.js';
import { needsRedis, startRedis } from '../support/redis.js';

test('the slot of a channel is the one that the cluster gives it, whatever braces its path has', needsRedis, async (t) => {
	// The port of the cluster is otherwise 10,000 more than the other, which an outgoing connection may have.
	const redis = await startRedis(t, '--cluster-enabled', 'yes', '--cluster-port', String(await freePort()));
	const random = seededRandom(t);
	const pieces = ['{', '}', 'a', 'b', 'é', '/'];
	for (let i = 0; i < 1_000; i++) {
		const path = Array.from({ length: random.below(10) }, () => pieces[random.below(pieces.length)]).join('');
		const channel = `pathcast:/${path}`;
		assert.equal(slotOf(Buffer.from(channel)), await redis.run('CLUSTER', 'KEYSLOT', channel), channel);
	}
});
