// Subscribes to several channels over one websocket. `handlers` has a function for each path. Gives a function that sends frames.
export function openChannels(server = 'ws://localhost:8081', handlers = {}) {
	const paths = Object.keys(handlers);
	// The path of the URL is the first member of the set.
	const socket = new WebSocket(`${server}${paths[0]}`, 'pathcast.groups.v1');
	socket.onopen = () => socket.send(`subscribe: ${paths.join(' ')}`);
	socket.onmessage = ({ data }) => {
		// The first blank line ends the head. The message follows as it was published, and may have blank lines of its own.
		const end = data.indexOf('\n\n');
		const lines = data.slice(0, end).matchAll(/^(\w+): ?(.*)$/gm);
		const head = Object.fromEntries(Array.from(lines, ([, name, value]) => [name, value]));
		const body = data.slice(end + 2);
		if ('channel' in head) handlers[head.channel]?.(body, head.from);
		if ('refused' in head) console.error(head.refused, head.status, body);
	};
	return (head, body = '') => socket.send(`${head}\n\n${body}`);
}
