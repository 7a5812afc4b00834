// The test page: subscribes to its own path, shows what comes as text, sends, keeps alive, connects again.

const linesMax = 1_000;
const keepaliveMs = 30_000;
const retryMsMax = 30_000;

const channelHeading = document.querySelector('#channel') as HTMLElement;
const stateLine = document.querySelector('#state') as HTMLElement;
const messages = document.querySelector('#messages') as HTMLElement;
const form = document.querySelector('#form') as HTMLFormElement;
const input = document.querySelector('#text') as HTMLInputElement;

let socket: WebSocket | undefined;
let failures = 0;

function decodedPath(): string {
	try {
		return decodeURIComponent(location.pathname);
	} catch {
		return location.pathname;
	}
}

function show(text: string): void {
	const list = messages.parentElement as HTMLElement;
	const isAtEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
	const line = document.createElement('li');
	line.textContent = text;
	messages.append(line);
	if (messages.childElementCount > linesMax) messages.firstElementChild?.remove();
	if (isAtEnd) line.scrollIntoView({ block: 'end' });
}

function connect(): void {
	stateLine.textContent = 'connecting…';
	const url = new URL(location.href);
	url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
	url.hash = '';
	const opening = new WebSocket(url);
	opening.binaryType = 'arraybuffer';
	opening.onopen = () => {
		socket = opening;
		failures = 0;
		stateLine.textContent = 'subscribed';
	};
	opening.onmessage = ({ data }) => {
		if (data instanceof ArrayBuffer) show(`(binary, ${data.byteLength} bytes)`);
		// An empty message is the answer to a keepalive.
		else if (data !== '') show(data);
	};
	opening.onclose = ({ code, reason }) => {
		socket = undefined;
		// Full jitter, so that a restarted server does not meet all its pages at once.
		const delayMs = Math.random() * Math.min(retryMsMax, 1_000 * 2 ** failures++);
		stateLine.textContent = `closed (${code}${reason ? `, ${reason}` : ''}); connecting again in ${Math.ceil(delayMs / 1_000)} s`;
		setTimeout(connect, delayMs);
	};
}

form.addEventListener('submit', (event) => {
	event.preventDefault();
	if (socket === undefined || input.value === '') return;
	socket.send(input.value);
	input.value = '';
});

input.focus();
channelHeading.textContent = decodedPath();
document.title = `${decodedPath()} – pathcast`;
setInterval(() => socket?.send(''), keepaliveMs);
connect();
