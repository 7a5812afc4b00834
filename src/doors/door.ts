// What every HTTP door shares: headers read once, ambiguous framing turned away, a throw answered instead of fatal.
import type { HttpRequest, HttpResponse } from '../engine.js';
import type { Log } from '../operations/log.js';
import { ambiguity, type Headers, readHeaders } from './headers.js';
import { refuseAndClose, replyText } from './reply.js';

export type Door<Rest extends unknown[] = []> = (res: HttpResponse, req: HttpRequest, headers: Headers, ...rest: Rest) => void;

/** Makes an engine handler of a door. The engine aborts the process if a handler throws, or returns without an answer to come. */
export function openDoor<Rest extends unknown[]>(door: Door<Rest>, log: Log) {
	return (res: HttpResponse, req: HttpRequest, ...rest: Rest): void => {
		try {
			const headers = readHeaders(req);
			const ambiguous = ambiguity(headers);
			if (ambiguous === undefined) door(res, req, headers, ...rest);
			else refuseAndClose(res, ambiguous);
		} catch (error) {
			answerFault(res, error, log);
		}
	};
}

/** Logs a bug and answers 500, if an answer is still owed. */
export function answerFault(res: HttpResponse, error: unknown, log: Log): void {
	log.error({ event: 'fault', err: error }, 'A handler threw; this request is answered with 500, and the server goes on.');
	try {
		replyText(res, 500, 'The server failed to handle this request; its log says why.');
	} catch {
		// The engine throws if the answer was given, or the client has gone.
	}
}
