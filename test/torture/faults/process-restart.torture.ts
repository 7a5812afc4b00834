// The server is killed and started again on the same address, and others try to take its address.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import type { TestContext } from 'node:test';
import { becomes } from '../../relay/support/becomes.js';
import { type Command, refuses, runCommand } from '../../support/command.js';
import { freePort } from '../../support/free-port.js';
import { seededRandom } from '../../support/random.js';
import { type Subscriber, subscribe } from '../../support/subscriber.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { inForm } from '../support/torture.js';
import { startBystanders } from './support/bystanders.js';
import { fault, faultsAtOnce } from './support/fault.js';

type Address = { readonly flags: string[]; readonly origin: string; readonly target: { port: number } | { socketPath: string } };
type AddressKind = 'port' | 'UNIX socket';
const kinds: readonly AddressKind[] = ['port', 'UNIX socket'];

async function addressOf(t: TestContext, kind: AddressKind): Promise<Address> {
	const mport = String(await freePort());
	if (kind === 'port') {
		const port = await freePort();
		const addr = `127.0.0.1:${port}`;
		return { flags: ['--addr', addr, '--mport', mport], origin: `ws://${addr}`, target: { port } };
	}
	const socketPath = `${temporaryFolder(t)}/pathcast.sock`;
	return { flags: ['--addr', socketPath, '--mport', mport], origin: `ws+unix:${socketPath}:`, target: { socketPath } };
}

/** The messages of a row: the numbers from 0 on, one after another, by POST. */
class Numbers {
	/** The number that is published next. */
	next = 0;
	confirmed = 0;
	areOver = false;

	constructor(readonly address: Address) {}

	/** Publishes the next one. Resolves to false if the server was away, or went away before the answer. */
	async publish(): Promise<boolean> {
		const { target } = this.address;
		const number = String(this.next++);
		const isPublished = await new Promise<boolean>((resolve) => {
			const where = 'port' in target ? { host: '127.0.0.1', ...target } : target;
			const request = httpRequest({ ...where, path: '/numbers', method: 'POST', agent: false }, (response) => {
				response.once('error', () => resolve(false));
				response.resume().once('end', () => resolve(response.statusCode === 200));
			});
			request.once('error', () => resolve(false));
			request.end(number);
		});
		if (isPublished) this.confirmed++;
		return isPublished;
	}
}

/** A subscriber that connects again whenever its connection has ended. Each connection must get every message since its open. */
class Returning {
	connections = 0;
	got = 0;
	last = -1;
	isOpen = false;

	/** Resolves when the numbers are over. Rejects if a connection has missed a message. */
	async live(t: TestContext, numbers: Numbers): Promise<void> {
		while (!numbers.areOver) {
			let opened: Subscriber | undefined;
			await becomes(async () => {
				if (!numbers.areOver) opened = await subscribe(t, `${numbers.address.origin}/numbers`);
				return true;
			});
			if (opened === undefined) return;
			const subscriber: Subscriber = opened;
			const { next } = numbers;
			this.connections++;
			this.isOpen = true;
			let previous: number | undefined;
			for (;;) {
				const text = await subscriber.nextText().catch(() => undefined);
				if (text === undefined) break;
				this.last = Number(text);
				this.got++;
				// A message that is published while the websocket opens may come, or not.
				if (previous === undefined) assert.ok(this.last <= next, `${this.last} came first, after ${next}`);
				else assert.equal(this.last, previous + 1);
				previous = this.last;
			}
			this.isOpen = false;
		}
	}
}

async function start(t: TestContext, { flags }: Address): Promise<Command> {
	const command = runCommand(t, flags);
	await command.logged('start');
	return command;
}

faultsAtOnce('kill -9, and a second server', () => {
	for (const kind of kinds) {
		fault(
			`kill -9 under load, and a new start on the same ${kind}, again and again`,
			'The server starts again at once on the same address; each connection gets every message from its open until it is cut.',
			async (t) => {
				const random = seededRandom(t);
				const address = await addressOf(t, kind);
				const numbers = new Numbers(address);
				let command = await start(t, address);
				const clients = Array.from({ length: 20 }, () => new Returning());
				const lives = Promise.all(clients.map((client) => client.live(t, numbers)));
				const kills = inForm(4, 40);
				const haveAll = () => clients.every(({ isOpen }) => isOpen);
				await Promise.race([lives, publishThroughKills()]).finally(() => {
					numbers.areOver = true;
				});
				const [connections, got] = [sum(clients.map((client) => client.connections)), sum(clients.map((client) => client.got))];
				return `${kills} kills; ${connections} connections of 20 clients got ${got} deliveries of ${numbers.confirmed} messages, without a gap`;

				async function publishThroughKills(): Promise<void> {
					for (let kill = 0; kill <= kills; kill++) {
						await becomes(haveAll);
						const until = numbers.confirmed + 20 + random.below(50);
						while (numbers.confirmed < until) assert.ok(await numbers.publish());
						if (kill === kills) break;
						command.child.kill('SIGKILL');
						while (await numbers.publish());
						await command.ended;
						assert.equal('socketPath' in address.target && existsSync(address.target.socketPath), kind === 'UNIX socket');
						command = await start(t, address);
					}
					await becomes(() => clients.every(({ last }) => last === numbers.next - 1));
					assert.equal(command.stderr, '');
				}
			},
		);

		fault(
			`a second server on the same ${kind}, again and again, under load`,
			'It is refused with one line that names the address, and exits with 1; the first server is not disturbed.',
			async (t) => {
				const address = await addressOf(t, kind);
				const command = await start(t, address);
				const bystanders = await startBystanders(t, address.target);
				const attempts = inForm(4, 20);
				const line =
					kind === 'port'
						? /--addr: cannot listen on \S+: it is in use; stop the server/
						: /--addr: a server listens at .*; stop it/;
				for (let i = 0; i < attempts; i++) await refuses(t, [...address.flags.slice(0, 2), '--mport', '0'], line);
				const innocent = await bystanders.stop();
				command.child.kill('SIGTERM');
				assert.deepEqual([(await command.ended).code, command.stderr], [0, '']);
				return `${attempts} of ${attempts} refused; ${innocent}`;
			},
		);
	}
});

function sum(numbers: readonly number[]): number {
	return numbers.reduce((total, number) => total + number, 0);
}
