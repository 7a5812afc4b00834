// One built server, and the three ways to it: direct, and through nginx and HAProxy with the sample files of deploy/.
import { once } from 'node:events';
import { connect } from 'node:net';
import { after } from 'node:test';
import { connect as connectOverTls } from 'node:tls';
import { needsHaproxy, startHaproxy } from '../../deploy/support/haproxy.js';
import { needsNginx, startNginx } from '../../deploy/support/nginx.js';
import type { Ports } from '../../deploy/support/nodes.js';
import { anyPort, type Command, runCommand } from '../../support/command.js';
import type { Owner } from '../../support/owner.js';
import { handled, subscribe } from '../../support/subscriber.js';
import { tls } from '../../support/tls.js';
import { Wire } from './wire.js';

export type WayName = 'direct' | 'nginx' | 'HAProxy';
/** A proxy speaks TLS with the client. */
export type Way = { readonly name: WayName; readonly open: () => Promise<Wire> };

export type Ways = Ports & {
	/** The server itself. */
	readonly command: Command;
	readonly ways: readonly Way[];
	/** Empty, or a blank and a sentence that names the proxies that this machine lacks. With TEST_REQUIRE_ALL=1 the start fails then. */
	readonly untried: string;
};

const ends: (() => unknown)[] = [];
after(async () => {
	for (const end of ends) await end();
});
/** Owns what all rows of a file share, which ends with the file. */
export const thisFile: Owner = { after: (end) => void ends.push(end) };

/** Starts the server with these flags, and the proxies. */
export async function startWays(t: Owner, ...flags: string[]): Promise<Ways> {
	const command = runCommand(t, [...anyPort, '--trust-proxy', '127.0.0.1', ...flags]);
	const ports: Ports = { port: await command.port(), operatorPort: await command.operatorPort() };
	const reader = await subscribe(t, `ws://127.0.0.1:${ports.port}/conformance/reads`);
	// The server reads connections in the order in which they have become readable. On a loaded machine the system may still deliver a few pieces
	// in a thousand later than the ping, and together with the next: no row may depend on that.
	const isRead = () => handled(reader);
	const ways: Way[] = [{ name: 'direct', open: () => openDirect(t, ports.port, isRead) }];
	if (!needsNginx.skip) {
		const { port } = await startNginx(t, 'pathcast.conf', [ports]);
		ways.push({ name: 'nginx', open: () => openOverTls(t, port) });
	}
	if (!needsHaproxy.skip) {
		// One node in the place of three.
		const { port } = await startHaproxy(t, [ports, ports, ports]);
		ways.push({ name: 'HAProxy', open: () => openOverTls(t, port) });
	}
	const untried = (['nginx', 'HAProxy'] as const).filter((name) => !ways.some((way) => way.name === name));
	return {
		...ports,
		command,
		ways,
		untried: untried.map((name) => ` Not tried through ${name}, which is not installed.`).join(''),
	};
}

async function openDirect(t: Owner, port: number, isRead: () => Promise<void>): Promise<Wire> {
	const wire = new Wire(connect({ port, host: '127.0.0.1', allowHalfOpen: true }), isRead);
	t.after(() => wire.destroy());
	await once(wire.socket, 'connect');
	// The server accepts the connection, and only then begins to look whether it is readable.
	await isRead();
	await isRead();
	return wire;
}

async function openOverTls(t: Owner, port: number): Promise<Wire> {
	const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
	// A proxy may read several pieces at once, and pass them on as one.
	const wire = new Wire(connectOverTls({ ...tls, socket }), () => Promise.resolve());
	t.after(() => wire.destroy());
	await once(wire.socket, 'secureConnect');
	return wire;
}
