// OPTIONS, and the methods that are not served.
import type { Door } from './door.js';
import type { OriginPolicy } from './origin.js';
import { type HeaderLines, replyNothing } from './reply.js';

const methods = 'GET, HEAD, POST, PUT, OPTIONS';

/** A CORS preflight (Fetch, section 3.2.2) for the origins that `--origin` allows, else the methods there are. */
export function optionsDoor(checkOrigin: OriginPolicy): Door {
	return (res, { origin, host }) => {
		const { hasCors, headers } = checkOrigin(origin, host);
		replyNothing(res, [...headers, ...(hasCors ? preflight : allow)]);
		return undefined;
	};
}

const allow: HeaderLines = [['Allow', methods]];
const preflight: HeaderLines = [
	['Access-Control-Allow-Methods', methods],
	['Access-Control-Allow-Headers', 'Content-Type, If-Match'],
	['Access-Control-Max-Age', '600'],
];

export const otherMethodDoor: Door = () => ({
	status: 405,
	cause: 'method',
	reason: `The methods here are ${methods}.`,
	headers: allow,
});
