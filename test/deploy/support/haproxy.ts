// Starts HAProxy with the file of deploy/haproxy.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { type Command, runProgram } from '../../support/command.js';
import { freePort } from '../../support/free-port.js';
import type { Owner } from '../../support/owner.js';
import { needs } from '../../support/requirement.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { certPath, keyPath } from '../../support/tls.js';
import { deployed, type Places } from './deployed.js';
import type { Front } from './front.js';
import type { Ports } from './nodes.js';

const haproxyPath = '/usr/sbin/haproxy';
export const needsHaproxy = needs('HAProxy', haproxyPath);

// What only root may do.
const rootLines = ['chroot /var/lib/haproxy', 'user haproxy', 'group haproxy'];
const asOneself: Places = process.getuid?.() === 0 ? [] : rootLines.map((line) => [`\t${line}\n`, '']);

/** Starts it in front of three nodes. `more` takes the place of what else the file says. */
export async function startHaproxy(
	t: Owner,
	nodes: readonly Ports[],
	more: Places = [],
	file: 'pathcast.cfg' | 'relay.cfg' = 'pathcast.cfg',
): Promise<Front> {
	let running: Command | undefined;
	t.after(async () => {
		running?.child.kill('SIGTERM');
		await running?.ended;
	});
	const folder = temporaryFolder(t);
	const port = await freePort();
	const adminPath = `${folder}/admin.sock`;
	writeFileSync(`${folder}/cert-and-key.pem`, `${readFileSync(certPath, 'utf8')}${readFileSync(keyPath, 'utf8')}`);
	const places: Places = [
		['bind :443 ', `bind 127.0.0.1:${port} `],
		['/etc/haproxy/certs/pathcast.pem', `${folder}/cert-and-key.pem`],
		['stats socket /run/haproxy/admin.sock', `stats socket ${adminPath}`],
		...nodes.flatMap(({ port, operatorPort }, i) => {
			// Nothing is hashed in front of a relay, and each node is its own backup.
			const id = file === 'relay.cfg' ? '' : ` id ${i + 1}`;
			const backup = [`127.0.0.1:${8081 + i} backup`, `127.0.0.1:${port} backup`] as const;
			const checked = [
				`127.0.0.1:${8081 + i}${id} check port ${18081 + i}`,
				`127.0.0.1:${port}${id} check port ${operatorPort}`,
			] as const;
			return file === 'relay.cfg' ? [checked, backup] : [checked];
		}),
		...asOneself,
		...more,
	];
	writeFileSync(`${folder}/haproxy.cfg`, deployed(`haproxy/${file}`, places));
	const command = runProgram(t, haproxyPath, ['-W', '-db', '-f', `${folder}/haproxy.cfg`]);
	running = command;
	await command.until(() => /Loading success/.exec(command.stderr) ?? undefined);
	const nameOf = (node: Ports) => `pathcast/node${nodes.indexOf(node) + 1}`;
	const order = async (what: string, servers: readonly Ports[]) => {
		for (const node of servers) assert.equal(await runtimeCommand(adminPath, `${what} ${nameOf(node)}`), '\n');
	};
	return {
		port,
		hold: () => order('disable health', nodes),
		release: () => order('enable health', nodes),
		takeOut: (node) => order('disable server', [node]),
		putBack: (node) => order('enable server', [node]),
		sees: (node, state) => stateLogged(command, nameOf(node), state),
	};
}

/** Resolves when the last that it has said of a node's state is this. */
async function stateLogged(command: Command, server: string, state: 'down' | 'up' | 'stopping'): Promise<void> {
	await command.until(() => {
		const said = [...command.stdout.matchAll(new RegExp(`Server ${server} is (UP|DOWN|stopping)`, 'g'))].map(([, word]) => word);
		return said.at(-1)?.toLowerCase() === state || undefined;
	});
}

/** Gives one command to the stats socket, and its answer. */
async function runtimeCommand(path: string, command: string): Promise<string> {
	const socket = connect(path);
	socket.write(`${command}\n`);
	return text(socket);
}
