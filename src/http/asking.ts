// Asks the authorisation service for a request, and answers the request if the service does not allow it.
import type { Allowed, Authorisation, Denied, Unanswered } from '../hooks/authorisation.js';
import { type AskedRest, type EndpointFields, inAscii, questionHeaders } from '../hooks/question.js';
import type { Exchange } from './exchange.js';
import { stopping } from './refusals.js';
import type { Refused, Reply } from './reply.js';

/**
 * Asks for a request, and serves it with the answer, in a later turn. Gives the function that takes the question back: the client has
 * gone.
 */
export type Ask = (
	exchange: Exchange,
	action: 'subscribe' | 'publish',
	serve: (answer: Allowed | Refused) => Reply | Refused | undefined,
) => () => void;

export function asking(authorisation: Authorisation, endpoint: EndpointFields): Ask {
	return (exchange, action, serve) => {
		const { head } = exchange;
		const { asked = nothing, path } = head;
		const addresses = exchange.addresses();
		const headers = questionHeaders(action, head, asked, addresses, endpoint());
		if (headers === undefined) {
			const answering = setImmediate(() => exchange.serveLater(() => serve(malformedField)));
			return () => clearImmediate(answering);
		}
		return authorisation.ask({ action, path, ip: addresses.client, query: inAscii(asked.query), headers }, (verdict) => {
			exchange.serveLater(() => serve(verdict.kind === 'allowed' ? verdict : refusalOf(verdict)));
		});
	};
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

const nothing: AskedRest = { query: '', fields: [] };
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
