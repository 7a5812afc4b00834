// A proxy. The test decides which bytes it passes on, and when.
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import type { TestContext } from 'node:test';

/**
 * Stands before the server on `port`. `opinion` gets each piece that a client sends (a browser sends a request in one) and
 * gives what goes on in its place, now or later, or undefined to cut the connection.
 */
export async function startGateway(
	t: TestContext,
	port: number,
	opinion: (piece: string) => string | undefined | Promise<string | undefined>,
): Promise<number> {
	const gateway = createServer((client) => {
		let upstream: Socket | undefined;
		let earlier = Promise.resolve();
		client.on('data', (data) => {
			earlier = earlier.then(async () => {
				const piece = await opinion(data.toString('latin1'));
				if (piece === undefined) {
					client.destroy();
					return;
				}
				upstream ??= connectedTo(client);
				upstream.write(piece, 'latin1');
			});
		});
		client.on('error', () => {});
		client.on('close', () => upstream?.destroy());
		t.after(() => client.destroy());
	}).listen(0, '127.0.0.1');
	await once(gateway, 'listening');
	t.after(() => gateway.close());
	return (gateway.address() as AddressInfo).port;

	// Connects only when there are bytes to pass on: the server closes a connection that sends nothing.
	function connectedTo(client: Socket): Socket {
		const upstream = connect(port, '127.0.0.1');
		upstream.pipe(client);
		upstream.on('error', () => {});
		upstream.on('close', () => client.destroy());
		return upstream;
	}
}
