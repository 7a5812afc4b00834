import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';

/** A port to be listened on twice: one that the engine picked itself (port 0) is not to be had again for a minute. */
export async function freePort(): Promise<number> {
	const server = createServer().listen(0, '127.0.0.1');
	await once(server, 'listening');
	const { port } = server.address() as AddressInfo;
	await new Promise((resolve) => server.close(resolve));
	return port;
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
