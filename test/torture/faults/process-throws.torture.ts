// Functions of the server throw, as a fault of its own would have them do.
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { becomes } from '../../relay/support/becomes.js';
import { runCommand } from '../../support/command.js';
import { openStream } from '../../support/event-stream.js';
import { post } from '../../support/http.js';
import { subscribe } from '../../support/subscriber.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { inForm } from '../support/torture.js';
import { type BuiltServer, onLinux, startBuilt } from './support/built-server.js';
import { startBystanders } from './support/bystanders.js';
import { fault } from './support/fault.js';

// Loaded before the server: on the path /throws/enter, for example, the function of that name throws at its end.
const poison = `
	import { Membership } from '${import.meta.resolve('#src/connections/membership.js')}';
	import { Hub } from '${import.meta.resolve('#src/pubsub/hub.js')}';
	function poisoned(type, method, pathOf) {
		const sound = type.prototype[method];
		type.prototype[method] = function (...args) {
			const path = pathOf(...args);
			const result = sound.apply(this, args);
			if (path === '/throws/' + method) throw new Error('poisoned ' + method);
			return result;
		};
	}
	poisoned(Membership, 'enter', (connection, name) => name);
	poisoned(Membership, 'leave', ({ subscription }) => subscription?.channel.name);
	poisoned(Hub, 'deliver', (channel) => channel.name);
	poisoned(Hub, 'deliverTo', (name) => name);`;
// Outside all handlers.
const bombs = `
	process.on('SIGUSR2', () => { throw new Error('bomb: exception'); });
	process.on('SIGALRM', () => void Promise.reject(new Error('bomb: rejection')));`;
const importing = (module: string) => ['--import', `data:text/javascript,${encodeURIComponent(module)}`];

fault(
	'a function of the server that throws when a client enters, publishes or leaves',
	'A request is answered with 500, a websocket closed with 1011, a stream ended; the log says why; all other connections go on.',
	async (t) => {
		const server = await startBuilt(t, [], importing(poison));
		const bystanders = await startBystanders(t, server);
		const before = server.openFiles();
		const times = inForm(40, 400);
		for (let i = 0; i < times; i++) await throwOnce(t, server);
		const faultsOf = (counter: string) => server.metric(`pathcast_${counter}_total{reason="fault"}`);
		await becomes(async () => (await faultsOf('disconnects')) >= 3 * times);
		assert.deepEqual([await faultsOf('refusals'), await faultsOf('disconnects')], [times, 3 * times]);
		await server.descriptorsComeBackTo(before);
		const innocent = await bystanders.stop();
		const errors = server.log().filter(({ level }) => level === 'error');
		const kinds = new Set(errors.map(({ err }) => /poisoned \w+/.exec((err as { stack: string }).stack)?.[0]));
		assert.deepEqual([...kinds].sort(), ['poisoned deliver', 'poisoned deliverTo', 'poisoned enter', 'poisoned leave']);
		assert.ok(errors.every(({ event }) => event === 'fault'));
		assert.equal(server.command.stderr, '');
		await server.stop();
		return `${times} times 500, ${2 * times} times 1011, ${times} streams ended; ${innocent}; ${before} descriptors again`;
	},
	onLinux,
);

async function throwOnce(t: TestContext, server: BuiltServer): Promise<void> {
	assert.equal((await post(server.port, '/throws/deliverTo', 'x')).status, 500);
	const failed = { code: 1011, reason: 'the server failed to handle this connection; its log says why' };
	assert.deepEqual(await (await subscribe(t, server.ws('/throws/enter'))).closed, failed);
	const publisher = await subscribe(t, server.ws('/throws/deliver'));
	publisher.send('x');
	assert.deepEqual(await publisher.closed, failed);
	assert.equal(await (await openStream(t, server, '/throws/enter')).closed, 'ended');
	await (await subscribe(t, server.ws('/throws/leave'))).close();
	(await openStream(t, server, '/throws/leave')).socket.destroy();
}

for (const [what, signal, message] of [
	['an exception outside all handlers', 'SIGUSR2', 'bomb: exception'],
	['a rejected promise that nothing handles', 'SIGALRM', 'bomb: rejection'],
] as const) {
	fault(
		what,
		'The process ends with 1 and the stack on standard error, for the supervisor to start it again at the same address.',
		async (t) => {
			const socket = `${temporaryFolder(t)}/pathcast.sock`;
			const flags = ['--addr', socket, '--mport', 'off'];
			const command = runCommand(t, flags, importing(bombs));
			await command.logged('start');
			const subscriber = await subscribe(t, `ws+unix:${socket}:/room`);
			command.child.kill(signal);
			const { code, stderr } = await command.ended;
			assert.equal(code, 1);
			assert.match(stderr, new RegExp(`Error: ${message}\\n +at `));
			const closed = await subscriber.closed;
			await runCommand(t, flags).logged('start');
			await (await startBystanders(t, { socketPath: socket })).stop();
			return `ended with ${code}; its clients saw ${closed.code}; the next server took the same socket`;
		},
	);
}
