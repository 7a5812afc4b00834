// Run as a process of its own, to be stopped or killed: many websockets that read numbered messages, each first word a number.
// Arguments: the address, and how many. Tells its parent when all are subscribed; then, when all have ended, how many messages each
// has got, or -1 after a gap.
import { once } from 'node:events';
import WebSocket from 'ws';

const [, , url = '', count = ''] = process.argv;
const counts: number[] = [];
const open: Promise<unknown>[] = [];
const closed: Promise<unknown>[] = [];
for (let i = 0; i < Number(count); i++) {
	const ws = new WebSocket(url, { skipUTF8Validation: true });
	ws.on('error', () => {});
	open.push(once(ws, 'open'));
	closed.push(new Promise((resolve) => ws.once('close', resolve)));
	ws.on('message', (data: Buffer) => {
		const messages = counts[i] ?? 0;
		const isNext = data.subarray(0, 20).toString().split(' ')[0] === String(messages);
		counts[i] = messages >= 0 && isNext ? messages + 1 : -1;
	});
	if (i % 100 === 99) await Promise.all(open);
}
await Promise.all(open);
process.send?.('subscribed');
await Promise.all(closed);
process.send?.(
	Array.from({ length: Number(count) }, (_, i) => counts[i] ?? 0),
	() => process.disconnect(),
);
