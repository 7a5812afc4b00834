import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import { anyPort, runCommand } from '../support/command.js';
import { handshakeHeaders, request } from '../support/http.js';
import { metricOf } from '../support/server.js';

const fields = Object.entries(handshakeHeaders).map(([name, value]) => `${name}: ${value}\r\n`);
// A masked frame of 60,000 bytes, of which half never come.
const halfMessage = Buffer.concat([Buffer.from([0x81, 0xfe, 60_000 >> 8, 60_000 & 0xff, 0, 0, 0, 0]), Buffer.alloc(30_000, 'x')]);

const budgetBytes = 100 * 1_048_576;

test('a crowd that has filled the memory budget, and left, leaves room for others', async (t) => {
	const command = runCommand(t, [...anyPort, '--memory-budget', String(budgetBytes)]);
	const [port, operatorPort] = [await command.port(), await command.operatorPort()];
	const readiness = async () => (await request(operatorPort, { path: '/readyz' })).status;
	const crowd: Socket[] = [];
	t.after(() => {
		for (const socket of crowd) socket.destroy();
	});
	while ((await readiness()) === 200) {
		// The server looks at its memory twice a second, and may be over its budget before it has looked.
		if ((await metricOf(operatorPort, 'process_resident_memory_bytes')) > budgetBytes) continue;
		assert.ok(crowd.length < 5_000, 'never over its budget');
		const some = Array.from({ length: 100 }, () => connect(port, '127.0.0.1'));
		crowd.push(...some);
		// Those after the budget is full are refused, and reset while they still send.
		for (const socket of some) socket.on('error', () => {});
		for (const socket of some) socket.write(`GET /room HTTP/1.1\r\nHost: x\r\n${fields.join('')}\r\n`);
		await Promise.all(some.map((socket) => once(socket, 'data')));
		for (const socket of some) socket.write(halfMessage);
	}
	for (const socket of crowd) socket.destroy();
	while ((await metricOf(operatorPort, 'pathcast_subscribers')) > 0);
	while ((await readiness()) === 503);
	assert.equal((await request(port, { path: '/room', headers: handshakeHeaders })).status, 101);
});
