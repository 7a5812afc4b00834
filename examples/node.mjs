// Subscribes to a channel, prints what it receives, and publishes messages: node node.mjs [CHANNEL [MESSAGE...]]
// Node 22 and newer have WebSocket. Node 20 needs the package: npm install ws
const WebSocket = globalThis.WebSocket ?? (await import('ws')).default;
const [channel = 'http://localhost:8081/room/1', ...messages] = process.argv.slice(2);
let failures = 0;

function connect() {
	let openedMs = Infinity;
	const socket = new WebSocket(channel.replace(/^http/, 'ws'));
	socket.onopen = () => {
		openedMs = performance.now();
		for (const message of messages.splice(0)) socket.send(message);
	};
	socket.onmessage = ({ data }) => console.log(data);
	// Without it, the package ws throws what the close event tells as well.
	socket.onerror = () => {};
	socket.onclose = ({ code, reason }) => {
		console.error('closed', code, reason);
		if (performance.now() - openedMs >= 5_000) failures = 0;
		// Growing and random, so that the clients of a restarted server do not return together.
		setTimeout(connect, Math.random() * Math.min(30_000, 1_000 * 2 ** failures++));
	};
}
connect();
