// A subscriber as a process of its own, which can take in but 4 KiB: it rests for a moment and then reads, while it sends what it is told.
// Arguments: the address, and what. Tells its parent when it is subscribed, and at its end what it received. To be run in a network of its
// own: it sets the system's receive buffer.
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import WebSocket from 'ws';

export type Received = { readonly messages: number; readonly afterGap: number; readonly hasEnd: boolean };

const restMs = 50;
const unsentBytesMax = 65_536;
const [, , url = '', sends = ''] = process.argv;

setReceiveBuffer('4096 4096 4096');
const ws = new WebSocket(url, { rejectUnauthorized: false });
ws.on('error', () => {});
await once(ws, 'open');
setReceiveBuffer('4096 131072 6291456');
let messages = 0;
let afterGap = 0;
let hasEnd = false;
ws.on('message', (data) => {
	const text = String(data);
	if (text === 'end') {
		hasEnd = true;
		ws.terminate();
		return;
	}
	if (afterGap > 0 || text.split(' ', 1)[0] !== String(messages)) afterGap++;
	messages++;
});
process.send?.('subscribed');
ws.pause();
setTimeout(() => ws.resume(), restMs);
if (sends !== 'nothing') send();
await once(ws, 'close');
process.send?.({ messages, afterGap, hasEnd } satisfies Received, () => process.disconnect());

function send(): void {
	if (ws.readyState !== WebSocket.OPEN) return;
	for (let i = 0; i < 8 && ws.bufferedAmount < unsentBytesMax; i++) {
		if (sends === 'pongs') ws.pong('x'.repeat(125));
		else if (sends === 'pings') ws.ping('x'.repeat(125));
		else ws.send('', { fin: sends === 'keepalives' });
	}
	setImmediate(send);
}

function setReceiveBuffer(bytes: string): void {
	execFileSync('sysctl', ['--quiet', '--write', `net.ipv4.tcp_rmem=${bytes}`]);
}
