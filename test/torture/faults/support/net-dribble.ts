// Clients that send byte by byte: ours, and those of slowhttptest.
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { runProgram } from '../../../support/command.js';
import { post } from '../../../support/http.js';
import { inForm } from '../../support/torture.js';
import type { BuiltServer } from './built-server.js';
import { openSockets } from './net-fault.js';

const dribbleMs = 1_000;

/** Opens connections that send a head, and then a byte a second, until the server has closed all. Gives in how many seconds. */
export async function dribble(t: TestContext, server: BuiltServer, count: number, start: string, rest: string): Promise<number> {
	const startMs = performance.now();
	const sockets = await openSockets(t, count, { port: server.port });
	let open = sockets.length;
	for (const socket of sockets) {
		socket.resume();
		socket.once('close', () => open--);
		socket.write(start);
	}
	for (let at = 0; open > 0; at++) {
		for (const socket of sockets) if (socket.writable) socket.write(rest[at % rest.length] ?? 'x');
		await setTimeout(dribbleMs);
	}
	return Math.round((performance.now() - startMs) / 1_000);
}

/** Runs slowhttptest with 200 connections, beside a client that must be served meanwhile. */
export async function slowHttpTest(t: TestContext, server: BuiltServer, kind: string): Promise<string> {
	const seconds = inForm(5, 60);
	const url = `http://127.0.0.1:${server.port}/room`;
	const args = [kind, '-c', '200', '-r', '100', '-i', '1', '-l', String(seconds), '-p', '5', '-u', url];
	const command = runProgram(t, '/usr/bin/slowhttptest', args);
	let isOver = false;
	const ended = command.ended.finally(() => {
		isOver = true;
	});
	let served = 0;
	while (!isOver) {
		assert.equal((await post(server.port, '/room', 'x')).status, 200);
		served++;
		await setTimeout(10);
	}
	const { stdout } = await ended;
	const [, status = ''] = /service available:[^A-Z]*([A-Z]+)/.exec(stdout.slice(stdout.lastIndexOf('service available'))) ?? [];
	assert.equal(status, 'YES', stdout);
	return `It found the service available at its end; ${served} POSTs of a normal client were answered with 200 meanwhile.`;
}
