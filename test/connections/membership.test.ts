import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Membership } from '#src/connections/membership.js';
import { Connections } from '#src/connections/registry.js';
import { eventsTo } from '#src/observe/events.js';
import type { ChannelName } from '#src/pubsub/channel-name.js';
import { CatchUp } from '#src/slow/catch-up.js';
import { SlowWatch } from '#src/slow/watch.js';
import { fakeConnection, silentHub } from '../support/fake-peer.js';

test('a connection that has a channel under two names leaves it once, after both subscriptions have ended', () => {
	const hub = silentHub();
	const connections = new Connections();
	const catchUp = new CatchUp(hub, 1_024);
	const watch = new SlowWatch(connections, { catchUp, writeTimeoutMs: 0 });
	const told: string[] = [];
	const events = eventsTo({ left: ({ name, subscribers }) => told.push(`${name} ${subscribers}`) });
	const membership = new Membership({ hub, connections, catchUp, watch, events });
	const [one, two] = ['/one', '/two'] as ChannelName[];
	const connection = fakeConnection();
	membership.enter(connection, one as ChannelName, undefined);
	hub.join(one as ChannelName, connection, two);
	hub.join(two as ChannelName, connection, two);
	hub.join(two as ChannelName, fakeConnection());
	membership.leave(connection, 'client', undefined);
	assert.deepEqual(told, ['/one 0', '/two 1']);
});
