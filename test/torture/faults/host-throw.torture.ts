// A handler of the built server throws: a module that is loaded first breaks what Node gives to it, for messages that begin with "throw!".
import assert from 'node:assert/strict';
import { post } from '../../support/http.js';
import { startService } from '../../support/service.js';
import { subscribe } from '../../support/subscriber.js';
import { inForm } from '../support/torture.js';
import { startBuilt } from './support/built-server.js';
import { startBystanders } from './support/bystanders.js';
import { fault } from './support/fault.js';

const breaks = `
import buffer from 'node:buffer';
import { syncBuiltinESMExports } from 'node:module';
const isMarked = (bytes) => bytes?.byteLength > 5 && new TextDecoder().decode(bytes).startsWith('throw!');
const { from } = Buffer;
Buffer.from = (...given) => {
	if (isMarked(given[0])) throw new Error('broken on purpose');
	return from(...given);
};
const { isUtf8 } = buffer;
buffer.isUtf8 = (bytes) => {
	if (isMarked(bytes)) throw new Error('broken on purpose');
	return isUtf8(bytes);
};
syncBuiltinESMExports();
`;

fault(
	'A handler that throws while it takes a message, by websocket or by POST, again and again',
	'The websocket is closed with 1011, the POST gets 500, the log tells of a fault. The process and all others go on.',
	async (t) => {
		// With a hook, the handler copies the message.
		const service = await startService(t);
		const modules = ['--import', `data:text/javascript,${encodeURIComponent(breaks)}`];
		const server = await startBuilt(t, ['--publish-hook', service.url], modules);
		const bystanders = await startBystanders(t, server);
		const listener = await subscribe(t, server.ws('/room'));
		const rounds = inForm(20, 500);
		for (let round = 0; round < rounds; round++) {
			const sender = await subscribe(t, server.ws('/room'));
			sender.send(`before ${round}`);
			assert.equal(await sender.nextText(), `before ${round}`);
			sender.send('throw!');
			sender.send('never');
			assert.equal((await sender.closed).code, 1011);
			assert.equal((await post(server.port, '/room', 'throw!')).status, 500);
			assert.equal(await listener.nextText(), `before ${round}`);
		}
		assert.equal(await server.metric('pathcast_disconnects_total{reason="fault"}'), rounds);
		assert.equal(await server.metric('pathcast_refusals_total{reason="fault"}'), rounds);
		const errors = server.log().filter(({ level }) => level === 'error' || level === 'fatal');
		assert.ok(errors.length > 0 && errors.every(({ event }) => event === 'fault'));
		assert.equal(server.command.stderr, '');
		const innocent = await bystanders.stop();
		await server.stop();
		return `${rounds} websockets closed with 1011, ${rounds} POSTs got 500, their channel went on; ${innocent}; the stop ended with 0`;
	},
);
