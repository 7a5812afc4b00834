// How to use a channel from elsewhere, for its very address. Knows no document.

export type Snippet = { readonly title: string; readonly code: string };

/** The address of the channel's websocket, for that of its page. */
export function webSocketUrl(page: URL): URL {
	const url = new URL(page);
	url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
	url.hash = '';
	return url;
}

/** One command that says hello. */
export function helloCommand(page: URL): string {
	return `curl -d hello ${shellQuoted(withoutHash(page))}`;
}

/** With those that publish by POST, if the server takes that. */
export function snippets(page: URL, allowsPost: boolean): readonly Snippet[] {
	// JSON strings are literals of JavaScript and of Python: an address is ASCII.
	const http = JSON.stringify(withoutHash(page));
	const webSocket = JSON.stringify(webSocketUrl(page).href);
	const all = [
		{ title: 'Publish with curl', code: helloCommand(page), isPost: true },
		{
			title: 'Subscribe and send in JavaScript',
			code: [
				`const socket = new WebSocket(${webSocket});`,
				'socket.onmessage = ({ data }) => console.log(data);',
				"socket.onopen = () => socket.send('hello');",
			].join('\n'),
		},
		{
			title: 'Subscribe with curl, by event stream',
			code: `curl -N -H 'Accept: text/event-stream' ${shellQuoted(withoutHash(page))}`,
		},
		{
			title: 'Subscribe in JavaScript, by event stream',
			code: [`const source = new EventSource(${http});`, 'source.onmessage = ({ data }) => console.log(data);'].join('\n'),
		},
		{
			title: 'Subscribe in Python',
			code: [
				'from websockets.sync.client import connect  # pip install websockets',
				`with connect(${webSocket}) as socket:`,
				'    for message in socket:',
				'        print(message)',
			].join('\n'),
		},
		{
			title: 'Publish in Python',
			code: ['from urllib.request import urlopen', `urlopen(${http}, data="hello".encode())`].join('\n'),
			isPost: true,
		},
	];
	return all.filter(({ isPost }) => allowsPost || isPost !== true);
}

function withoutHash(page: URL): string {
	const url = new URL(page);
	url.hash = '';
	return url.href;
}

// POSIX: everything but the quote stands for itself within single quotes.
function shellQuoted(text: string): string {
	return `'${text.replaceAll("'", "'\\''")}'`;
}
