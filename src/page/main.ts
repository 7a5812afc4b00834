// The test page: subscribes to its own path, shows what comes, sends, and goes to other channels without reloading.
import { offerRecent, pageOf, readablePath } from './channels.js';
import { Composer } from './composer.js';
import { Connection, type State } from './connection.js';
import { copyButton } from './copy.js';
import { byId, element } from './element.js';
import { Figures } from './figures.js';
import { MessageList } from './message-list.js';
import { utf8Bytes } from './message-text.js';
import { probe } from './probe.js';
import { readSettings } from './settings.js';
import { helloCommand, snippets } from './snippets.js';

const settings = readSettings();
const messages = new MessageList();
const figures = new Figures();
let state: State = { kind: 'connecting' };
let connection: Connection | undefined;
let shown = '';
let missed = 0;

new Composer(settings, (text) => {
	const isSent = connection?.send(text) ?? false;
	if (isSent) figures.sent(text);
	return isSent;
});

function showChannel(): void {
	const page = new URL(location.href);
	const path = readablePath(page.pathname);
	shown = `${page.pathname}${page.search}`;
	byId('channel').textContent = path;
	// A long one is cut.
	byId('channel').title = path;
	showTitle();
	byId<HTMLInputElement>('path').value = path;
	byId('subscribers').textContent = '–';
	byId('hello').querySelector('code')?.replaceChildren(helloCommand(page));
	byId('snippets').replaceChildren(
		...snippets(page, settings.allowsPost).map(({ title, code }) => {
			const figure = element('figure', '');
			const caption = element('figcaption', '', title);
			caption.append(copyButton(`the snippet: ${title}`, () => code));
			figure.append(caption, element('pre', '', code));
			return figure;
		}),
	);
	offerRecent(page, go);
	connection?.leave();
	connection = new Connection(page, { onState, onMessage });
}

function go(page: URL): void {
	history.pushState(null, '', page);
	changeChannel();
}

function changeChannel(): void {
	// The hash may have changed alone.
	if (shown === `${location.pathname}${location.search}`) return;
	messages.clear();
	figures.clear();
	missed = 0;
	showChannel();
}

function onMessage(data: string | ArrayBuffer): void {
	// An empty message is the answer to a keepalive.
	if (data === '') return;
	const content = typeof data === 'string' ? data : new Uint8Array(data);
	const bytes = typeof content === 'string' ? utf8Bytes(content) : content.length;
	if (document.hidden) {
		missed++;
		showTitle();
	}
	messages.add({ at: new Date(), content, bytes, isOwn: figures.received(content, bytes) });
}

/** With the number of messages that came while nobody looked. */
function showTitle(): void {
	document.title = `${missed > 0 ? `(${missed}) ` : ''}${byId('channel').textContent} – pathcast`;
}

const stateWords = { connecting: 'connecting…', open: 'open' } as const;

function onState(next: State): void {
	state = next;
	document.documentElement.dataset.state = next.kind;
	const words = 'why' in next ? `${next.kind} (${next.why})` : stateWords[next.kind];
	// Said once, however often it tries again.
	if (byId('state').textContent !== words) byId('state').textContent = words;
	if (next.kind !== 'open') figures.disconnected();
	showRetry();
}

/** Counts down to the next try. */
function showRetry(): void {
	const isWaiting = 'why' in state && (state.retryMs !== undefined || state.kind === 'offline');
	byId('retry').hidden = !isWaiting;
	byId('retrying').textContent = retryWords(state);
}

function retryWords(state: State): string {
	if (!('why' in state)) return '';
	if (state.retryMs !== undefined) return `next try in ${Math.max(1, Math.ceil((state.retryMs - performance.now()) / 1_000))} s`;
	return state.kind === 'offline' ? 'tries again when the network is back' : 'trying again…';
}

byId('retry').addEventListener('click', () => connection?.retryNow());
byId('count').addEventListener('click', async () => {
	const asked = shown;
	const answer = await probe(new URL(location.href));
	// It may be about a channel that was left meanwhile.
	if (asked !== shown) return;
	const words = { refused: 'not told', 'no POST': 'not told', silence: 'no answer' };
	byId('subscribers').textContent = answer.kind === 'subscribers' ? answer.subscribers : words[answer.kind];
});
byId('go').addEventListener('submit', (event) => {
	event.preventDefault();
	go(pageOf(byId<HTMLInputElement>('path').value, new URL(location.href)));
});
document.addEventListener('visibilitychange', () => {
	missed = 0;
	showTitle();
});
addEventListener('popstate', changeChannel);
setInterval(showRetry, 250);
byId('hello').hidden = !settings.allowsPost;
// Counting is asking by POST.
byId('count').hidden = !settings.allowsPost;
byId('text').focus();
showChannel();
