// A script that runs before an unchanged AWX client: the client keeps its JSON, and the server gets pathcast.groups.v1.
const pathsOf = ([group, items]) => items.map((item) => ` /${[group, item].map(encodeURIComponent).join('/')}`);
// The path of the websocket itself, /websocket/, is no group.
const namesOf = (paths) => paths.match(/[^/ ]+\/[^/ ]+(?= |$)/g)?.map((path) => decodeURIComponent(path.replace('/', '-'))) ?? [];

globalThis.WebSocket = class extends WebSocket {
	// Shadows the property of WebSocket, which would give the client raw frames.
	onmessage = null;
	constructor(url) {
		super(url, 'pathcast.groups.v1');
		this.send = (json) => super.send(`subscribe:${Object.entries(JSON.parse(json).groups).flatMap(pathsOf).join('')}`);
		this.addEventListener('message', ({ data }) => {
			// The head ends at the first blank line. The body is the message as it was published.
			const [head, body] = data.split(/\n\n(.*)/s);
			const [, current, joined, left] = /^subscribed:(.*)\njoined:(.*)\nleft:(.*)/.exec(head)?.map(namesOf) ?? [];
			const answer = { error: current ? undefined : data, groups_current: current, groups_left: left, groups_joined: joined };
			this.onmessage?.(new MessageEvent('message', { data: /^(channel|session):/.test(head) ? body : JSON.stringify(answer) }));
		});
	}
};
