import { once } from 'node:events';
import { createServer } from 'node:net';

// Below the ports that systems give to outgoing connections, which could take a port before a server listens on it.
const [lowest, highest] = [11_000, 32_000];
// Ports are given in turn, so that none is given twice before it is listened on. The first is random: other processes do the same.
let next = lowest + Math.floor(Math.random() * (highest - lowest));

/** A port to be listened on twice: one that the engine picked itself (port 0) is not to be had again for a minute. */
export async function freePort(): Promise<number> {
	for (;;) {
		const port = next;
		next = port < highest ? port + 1 : lowest;
		const server = createServer().listen(port, '127.0.0.1');
		try {
			await once(server, 'listening');
		} catch {
			// Another process has it.
			continue;
		}
		await new Promise((resolve) => server.close(resolve));
		return port;
	}
}

/** A free port of four digits, and the free port that is it with a 1 before: an instance's, and its operator's listener's. */
export async function freePortPair(): Promise<[number, number]> {
	for (;;) {
		const port = 2_000 + Math.floor(Math.random() * 8_000);
		const pair: [number, number] = [port, 10_000 + port];
		if ((await isFree(pair[0])) && (await isFree(pair[1]))) return pair;
	}
}

async function isFree(port: number): Promise<boolean> {
	const server = createServer();
	const isListening = await new Promise<boolean>((resolve) => {
		server.once('error', () => resolve(false)).listen(port, '127.0.0.1', () => resolve(true));
	});
	if (isListening) await new Promise((resolve) => server.close(resolve));
	return isListening;
}
