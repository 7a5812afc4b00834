// Subscribes to a channel over a websocket, which is opened again after it was closed. Gives a function that publishes.
export function openChannel(channel = 'http://localhost:8081/room/1', onMessage = console.log) {
	let socket;
	let failures = 0;
	function connect() {
		let openedMs = Infinity;
		socket = new WebSocket(channel.replace(/^http/, 'ws'));
		socket.onopen = () => {
			openedMs = performance.now();
		};
		socket.onmessage = ({ data }) => onMessage(data);
		socket.onclose = () => {
			// A websocket that was open for less may have been closed for a reason that lasts.
			if (performance.now() - openedMs >= 5_000) failures = 0;
			// The delay grows, up to half a minute, and is random, so that the clients of a restarted server do not return together.
			setTimeout(connect, Math.random() * Math.min(30_000, 1_000 * 2 ** failures++));
		};
	}
	connect();
	return function publish(text) {
		// A websocket that is still connecting would throw.
		if (socket.readyState !== WebSocket.OPEN) return false;
		socket.send(text);
		return true;
	};
}
