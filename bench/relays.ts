// The Redis, or Valkey, that connects the nodes of a peer.
import { existsSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';

// Where the machine has both, as in the tests.
const program = ['/usr/bin/valkey-server', '/usr/bin/redis-server'].find((path) => existsSync(path)) ?? '/usr/bin/redis-server';

export const needsRelay = { file: program, remedy: 'apt-get install redis-server' };

/** How to start it: on a port and on a UNIX socket, with nothing on the disk. */
export function relayCommand(port: number, folder: string): { readonly file: string; readonly args: readonly string[] } {
	const listening = ['--bind', '127.0.0.1', '--port', String(port), '--unixsocket', socketOf(folder)];
	return { file: program, args: [...listening, '--save', '', '--appendonly', 'no', '--dir', folder] };
}

export function relayUrl(kind: 'tcp' | 'unix', port: number, folder: string): string {
	return kind === 'tcp' ? `redis://127.0.0.1:${port}` : `unix://${socketOf(folder)}`;
}

function socketOf(folder: string): string {
	return join(folder, 'redis.sock');
}

/** Whether it serves. */
export function relayAnswers(port: number): Promise<boolean> {
	return new Promise((resolve) => {
		const socket = connect({ host: '127.0.0.1', port });
		socket.on('data', (bytes) => {
			resolve(bytes.toString('latin1').startsWith('+PONG'));
			socket.destroy();
		});
		socket.on('error', () => {});
		socket.on('close', () => resolve(false));
		socket.write('PING\r\n');
	});
}
