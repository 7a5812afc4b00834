// Asks the server about a channel with an empty POST, which publishes nothing.
import { beginning } from './message-text.js';

export type Answer =
	/** In words: a number, or on how many servers they are, where a relay knows no more. */
	| { readonly kind: 'subscribers'; readonly subscribers: string }
	/** In the server's own words, or in ours where it has none. */
	| { readonly kind: 'refused'; readonly reason: string }
	/** It answers, but no POST: with `--post admin`, or behind a proxy that allows none. */
	| { readonly kind: 'no POST' }
	| { readonly kind: 'silence' };

const patienceMs = 5_000;
// The server's own lines are shorter.
const wordsUnits = 200;

export async function probe(channel: URL): Promise<Answer> {
	try {
		const response = await fetch(channel, {
			method: 'POST',
			body: '',
			redirect: 'manual',
			signal: AbortSignal.timeout(patienceMs),
		});
		const subscribers = response.headers.get('X-Subscribers');
		const nodes = response.headers.get('X-Nodes');
		if (response.ok && subscribers !== null) return { kind: 'subscribers', subscribers: Number(subscribers).toLocaleString() };
		if (response.ok && nodes !== null) return { kind: 'subscribers', subscribers: `on ${nodes} nodes` };
		// On another origin the page may not ask.
		if (response.type === 'opaqueredirect') return { kind: 'refused', reason: 'a proxy leads elsewhere, perhaps to a login' };
		if (response.status === 405) return { kind: 'no POST' };
		const [line = ''] = (await response.text()).split('\n', 1);
		// A proxy's error page is no line for a person.
		const words = line === '' || line.startsWith('<') ? response.statusText : beginning(line, wordsUnits);
		return { kind: 'refused', reason: `${response.status}${words === '' ? '' : `: ${words}`}` };
	} catch {
		return { kind: 'silence' };
	}
}

/** Why there was no websocket, as far as an empty POST can tell: a failed upgrade tells scripts nothing. */
export function refusalInWords(answer: Answer): { readonly kind: 'refused' | 'closed'; readonly why: string } {
	switch (answer.kind) {
		case 'refused':
			return { kind: 'refused', why: answer.reason };
		case 'subscribers':
			return {
				kind: 'refused',
				why: 'no websocket, though the server answers: it may be full, or a proxy in front of it lets no websockets through',
			};
		case 'no POST':
			return {
				kind: 'refused',
				why: 'no websocket, though the server answers; it takes no POST, which would ask it for the reason',
			};
		case 'silence':
			return { kind: 'closed', why: 'the server does not answer' };
	}
}
