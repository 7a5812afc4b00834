// OPTIONS, and the methods that are not served.
import type { Door } from './exchange.js';
import type { OriginPolicy } from './origin.js';
import type { HeaderLines } from './reply.js';

/** What is served here, as `Allow` lists it. POST and PUT may be left to the operator's listener (`--post admin`). */
function servedMethods(allowsPost: boolean): string {
	return allowsPost ? 'GET, HEAD, POST, PUT, OPTIONS' : 'GET, HEAD, OPTIONS';
}

/** A CORS preflight (Fetch, section 3.2.2) for the origins that `--origin` allows, else the methods there are. */
export function optionsDoor(checkOrigin: OriginPolicy, allowsPost: boolean, isAsking: boolean): Door {
	const methods = servedMethods(allowsPost);
	const allow: HeaderLines = [['Allow', methods]];
	const preflight: HeaderLines = [
		['Access-Control-Allow-Methods', methods],
		// For the authorisation service.
		['Access-Control-Allow-Headers', `Content-Type, If-Match${isAsking ? ', Authorization' : ''}`],
		['Access-Control-Max-Age', '600'],
	];
	return ({ head: { origin, host } }) => {
		const { hasCors, headers } = checkOrigin(origin, host);
		return { status: 204, headers: [...headers, ...(hasCors ? preflight : allow)] };
	};
}

export function otherMethodDoor(allowsPost: boolean): Door {
	const methods = servedMethods(allowsPost);
	const remedy = allowsPost ? '' : "; messages are published through the operator's listener (--post admin)";
	const reason = `The methods here are ${methods}${remedy}.`;
	return () => ({ status: 405, cause: 'method', reason, headers: [['Allow', methods]] });
}
