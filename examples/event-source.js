// Subscribes to a channel by an event stream. The browser connects again by itself, except after an answer such as 503.
export function subscribe(channel = 'http://localhost:8081/room/1', onMessage = console.log) {
	let failures = 0;
	function connect() {
		const source = new EventSource(channel);
		source.onopen = () => {
			failures = 0;
		};
		source.onmessage = ({ data }) => onMessage(data);
		source.onerror = () => {
			// Otherwise the browser is about to connect again.
			if (source.readyState !== EventSource.CLOSED) return;
			// The delay grows, up to half a minute, and is random, so that the clients of a full server do not return together.
			setTimeout(connect, Math.random() * Math.min(30_000, 1_000 * 2 ** failures++));
		};
	}
	connect();
}
