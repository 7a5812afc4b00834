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
