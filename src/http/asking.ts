// Asks the authorisation service for a request, and answers the request if the service does not allow it.
import type { Allowed, Authorisation, Denied, Unanswered } from '../hooks/authorisation.js';
import {
	type Addresses,
	type AskedHead,
	type AskedRest,
	type EndpointFields,
	inAscii,
	questionHeaders,
} from '../hooks/question.js';
import type { Exchange } from './exchange.js';
import { bearerToken } from './handshake.js';
import { stopping } from './refusals.js';
import type { Refused, Reply } from './reply.js';

/** The head and the addresses of a client's request, for the service. */
export type AskedClient = { readonly head: AskedHead; readonly rest: AskedRest; readonly addresses: Addresses };

type Action = 'subscribe' | 'publish';

/**
 * Asks for a client, and calls `done` with the answer, in a later turn. Gives the function that takes the question back: the client has
 * gone.
 */
export type Ask = (client: AskedClient, action: Action, done: (answer: Allowed | Refused) => void) => () => void;

export function asking(authorisation: Authorisation, endpoint: EndpointFields): Ask {
	return ({ head, rest, addresses }, action, done) => {
		const headers = questionHeaders(action, head, rest, addresses, endpoint());
		if (headers === undefined) {
			const answering = setImmediate(() => done(malformedField));
			return () => clearImmediate(answering);
		}
		const question = { action, path: head.path, ip: addresses.client, query: inAscii(rest.query), headers };
		return authorisation.ask(question, (verdict) => done(verdict.kind === 'allowed' ? verdict : refusalOf(verdict)));
	};
}

/** Asks for a request, and serves it with the answer, unless the client has gone. */
export function askForRequest(
	ask: Ask,
	exchange: Exchange,
	action: Action,
	serve: (answer: Allowed | Refused) => Reply | Refused | undefined,
): () => void {
	return ask(askedClientOf(exchange), action, (answer) => exchange.serveLater(() => serve(answer)));
}

export function askedClientOf(exchange: Exchange): AskedClient {
	const { head } = exchange;
	const { query, fields } = head.asked ?? nothing;
	return { head, rest: { query, fields, token: bearerToken(head) }, addresses: exchange.addresses() };
}

function refusalOf(verdict: Denied | Unanswered): Refused {
	if (verdict.kind !== 'denied') return unanswered[verdict.kind];
	const { status, headers, body } = verdict;
	return {
		status,
		cause: 'auth',
		reason: 'The authorisation service of this server refused the request.',
		headers,
		...(body && { body }),
	};
}

const nothing = { query: '', fields: [] };
const noAnswer: Refused = {
	status: 502,
	cause: 'auth_failed',
	reason: "The authorisation service of this server gave no usable answer; the server's log says why.",
};
const unanswered: Record<Unanswered['kind'], Refused> = {
	timeout: noAnswer,
	unreachable: noAnswer,
	malformed: noAnswer,
	busy: {
		status: 503,
		cause: 'auth_busy',
		reason: 'Too many requests wait for the authorisation service of this server: try again in a few seconds.',
		headers: [['Retry-After', '5']],
	},
	stopping,
};
const malformedField: Refused = {
	status: 400,
	cause: 'framing',
	reason: 'A header field has a malformed name, or a control character in its value.',
};
