// The operator's endpoint that stops the server, or closes its present websockets while it goes on serving.
import type { IncomingMessage } from 'node:http';
import type { Log } from '../observe/log.js';
import { formatDuration, readDuration } from '../options/duration.js';
import { type Endpoint, text } from './endpoint.js';

export type DrainParts = {
	readonly isStopping: () => boolean;
	/** As a signal does. */
	readonly stop: () => void;
	/** Closes the connections that are open now, evenly over that time, and gives how many. It takes the place of an earlier call. */
	readonly shed: (overSeconds: number) => number;
	readonly log: Log;
};

const overSecondsMax = 24 * 3_600;
const remedy = `Ask for /drain?over=60s, up to over=${formatDuration(overSecondsMax)}, or for /drain alone to stop the server; without a body.`;

export function drainEndpoint({ isStopping, stop, shed, log }: DrainParts): Endpoint {
	return {
		methods: ['POST'],
		path: '/drain',
		example: '/drain?over=60s',
		help: 'closes the present websockets (1012) and event streams evenly over that time and goes on serving; /drain alone stops the server',
		answer({ query, req }) {
			if (query === '' && !saysMore(req)) {
				if (isStopping()) return text(202, 'The server is stopping already.');
				log.info({ event: 'stop' }, 'POST /drain: stopping, as after a signal');
				stop();
				return text(202, 'The server closes its websockets and stops, as after SIGTERM.');
			}
			const overSeconds = hasBody(req) ? undefined : readOver(query);
			if (overSeconds === undefined) return text(400, remedy);
			if (isStopping()) return text(409, 'The server is stopping, and closes its websockets in its own time.');
			const websockets = shed(overSeconds);
			log.info({ event: 'drain', over: overSeconds, subscribers: websockets }, 'the operator sends the present websockets away');
			return text(
				202,
				`The present websockets (${websockets}) are closed over ${formatDuration(overSeconds)}; the server goes on.`,
			);
		},
	};
}

/** Whether the request may have meant a time that was lost on the way: it has an empty query, or a body. */
function saysMore(req: IncomingMessage): boolean {
	return req.url?.endsWith('?') === true || hasBody(req);
}

function hasBody({ headers }: IncomingMessage): boolean {
	return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

/** In seconds; undefined if the query asks for anything else. */
function readOver(query: string): number | undefined {
	const [, value = ''] = /^over=([^&]*)$/.exec(query) ?? [];
	const seconds = readDuration(value);
	return seconds === undefined || seconds > overSecondsMax ? undefined : seconds;
}
